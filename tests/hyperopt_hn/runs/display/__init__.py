"""Tests of hyperopt_hn.runs.display."""
