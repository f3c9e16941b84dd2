"""Tests of deep.cnn."""
