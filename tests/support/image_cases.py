"""Small labelled images that tests of the CNNs share."""

from __future__ import annotations

import numpy as np

from hyperopt_hn.data.images import Images


def images(count=80, tests=24, side=8, channels=3, classes=4, name="mine", seed=0):
    """Noise with a patch whose place tells the class, so that something can be learned; gray ones are (N, S, S)."""
    rng = np.random.default_rng(seed)
    parts = []
    for rows in (count, tests):
        labels = np.arange(rows, dtype=np.uint8) % classes
        pixels = rng.integers(0, 128, (rows, side, side, channels)).astype(np.uint8)
        for row, label in zip(pixels, labels, strict=True):
            row[2 * (label // 2) : 2 * (label // 2) + 2, 2 * (label % 2) : 2 * (label % 2) + 2] += 120
        parts += [pixels[..., 0] if channels == 1 else pixels, labels]
    for array in parts:
        array.flags.writeable = False
    return Images(name, parts[0], parts[1], parts[2], parts[3], 255.0, "0" * 64, "made for a test")
