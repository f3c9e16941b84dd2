"""Tests of hyperopt_hn.files."""
