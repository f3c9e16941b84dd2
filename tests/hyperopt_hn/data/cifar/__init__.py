"""Tests of hyperopt_hn.data.cifar."""
