"""Tests of hyperopt_hn.nn.conversion."""
