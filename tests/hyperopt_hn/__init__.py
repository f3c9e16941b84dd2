"""Tests of hyperopt_hn, at the paths of its modules."""
