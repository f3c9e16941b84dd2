"""CIFAR-10 and CIFAR-100 in each of the forms in which they are found."""
