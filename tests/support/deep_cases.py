"""Images and checks that the tests of augmentation share."""

from __future__ import annotations

import math

import torch
from hypothesis import settings
from hypothesis import strategies as st

NEAR = {"atol": 1e-5, "rtol": 0.0}
MANY = 20_000
SEEDS = st.integers(0, 2**31)
FEW = settings(max_examples=15, deadline=None)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(seed, size=5, channels=3, height=9, width=11):
    """Images with flat and saturated spots: greys, black, white and pure colours beside noise."""
    images = torch.rand(size, channels, height, width, generator=source(seed))
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1] = (images[:, :, 1] > 0.5).float()
    return images


def each(function, images, *factors):
    return torch.stack([function(image, *(float(f[i]) for f in factors)) for i, image in enumerate(images)])


def even(values, low, high, tolerance=5.0):
    """Whether values look uniform on [low, high]: their bounds, mean and variance, within 5 standard errors."""
    assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
    shares = (values.double() - low) / (high - low)
    error = tolerance / math.sqrt(len(values))
    assert abs(float(shares.mean()) - 0.5) < error * math.sqrt(1 / 12)
    assert abs(float((shares - 0.5).square().mean()) - 1 / 12) < error * math.sqrt(1 / 180)
