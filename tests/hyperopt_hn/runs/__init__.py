"""Tests of hyperopt_hn.runs."""
