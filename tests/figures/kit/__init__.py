"""Tests of figures.kit."""
