"""Labelled images as every reader of them hands them on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images, (N, H, W) or (N, H, W, C); every array is uint8 and read-only."""

    name: str
    train_images: Pixels
    train_labels: Pixels
    test_images: Pixels
    test_labels: Pixels
    scale: float  # the largest value (MNIST 255, digits 16), so that images / scale lies in [0, 1]
    sha256: str  # of the data set as a whole
    note: str  # where the data come from, one sentence without paths, for logs and figures


def tell_missing_classes(name: str, labels: Mapping[str, Pixels]) -> None:
    """A line of the log for each split, in the order given, that lacks classes which another one has."""
    every: set[int] = set().union(*(set(some.tolist()) for some in labels.values()))
    for split, some in labels.items():
        if missing := sorted(every - set(some.tolist())):
            few = ", ".join(map(str, missing[:10])) + (" …" if missing[10:] else "")
            words = "%s: the %s split lacks classes that another one has: %s"
            logging.getLogger(__name__).warning(words, name, split, few)
