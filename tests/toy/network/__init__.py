"""Tests of toy.network."""
