"""Tests of hyperopt_hn.nn.tuning."""
