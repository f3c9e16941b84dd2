"""Tests of toy.truth."""
