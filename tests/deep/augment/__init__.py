"""Tests of deep.augment."""
