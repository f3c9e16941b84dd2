"""Tests of figures.kit.drawing."""
