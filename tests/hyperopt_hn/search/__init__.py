"""Tests of hyperopt_hn.search."""
