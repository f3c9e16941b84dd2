"""Convolutional networks on images: networks, hyperparameters, data, presets."""
