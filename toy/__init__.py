"""Autograd prototypes of hyper-training on MNIST: the method in its plainest form."""
