"""Labelled images as every reader of them hands them on."""

from __future__ import annotations

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
