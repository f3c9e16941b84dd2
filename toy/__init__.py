"""Autograd prototypes of hyper-training on MNIST: the method in its plainest form."""

import hyperopt_hn.cli.early  # noqa: F401 - before all else
