"""Timings of the fast code against slow, obvious references: `python -m tests.bench`."""
