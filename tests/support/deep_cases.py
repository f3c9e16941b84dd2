"""Images and checks that the tests of augmentation share."""

from __future__ import annotations

import math

import torch
from hypothesis import settings
from hypothesis import strategies as st

from deep.augment.colour import BLENDS, NAMES, Jitter, jitter
from deep.augment.pipeline import apply, draw

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


def augment(images, strengths, generator, normal=None):
    """What a training loss does: draws at these strengths, and the images changed by them."""
    return apply(images, draw(images, strengths, generator), normal)


def orders(made):
    """(B, 4) int64: the whole order of each image's jitter, as indices of NAMES."""
    found = torch.empty(len(made.places), len(NAMES), dtype=torch.int64)
    for quarter, chosen in enumerate(made.places.tensor_split(len(NAMES))):
        mine = made.blends[chosen]
        last = torch.full_like(mine[:, :1], BLENDS)
        found[chosen] = torch.cat((mine[:, :quarter], last, mine[:, quarter:]), 1)
    return found


def one_colour(which):
    """The jitter that changes brightness (0), contrast (1), saturation (2) or hue (3) alone."""

    def changed(images, factors):
        size = len(images)
        whole = torch.ones(size, len(NAMES))
        whole[:, BLENDS] = 0.0
        whole[:, which] = factors
        blends = torch.arange(BLENDS).expand(size, BLENDS)
        return jitter(images, Jitter(whole, torch.arange(size), blends))

    return changed


def even(values, low, high, tolerance=5.0):
    """Whether values look uniform on [low, high]: their bounds, mean and variance, within 5 standard errors."""
    assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
    shares = (values.double() - low) / (high - low)
    error = tolerance / math.sqrt(len(values))
    assert abs(float(shares.mean()) - 0.5) < error * math.sqrt(1 / 12)
    assert abs(float((shares - 0.5).square().mean()) - 1 / 12) < error * math.sqrt(1 / 180)
