"""Tests of deep.study."""
