"""Tests of toy.baselines."""
