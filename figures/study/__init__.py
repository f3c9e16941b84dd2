"""Figures of the studies: drawn from tables that `python -m deep.study...` writes, where the others read runs."""
