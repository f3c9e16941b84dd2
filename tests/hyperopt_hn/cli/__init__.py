"""Tests of hyperopt_hn.cli."""
