"""Tests of deep.compare."""
