"""Tests of hyperopt_hn.nn.diagnosis."""
