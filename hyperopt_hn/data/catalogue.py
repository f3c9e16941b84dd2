"""Data sets of images by name, as plain numpy: MNIST's family, CIFAR, the embedded digits, a custom npz.

A new data set is one entry of READERS and a module for its reader; one in MNIST's format is one entry of IDX_SETS
and one of READERS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperopt_hn.data.cifar.cifar import CIFAR10, CIFAR100, load_cifar
from hyperopt_hn.data.cifar.cifar_jpeg import load_cifar10_jpeg
from hyperopt_hn.data.fallback import first_there
from hyperopt_hn.data.images import Images as Images
from hyperopt_hn.data.locate import Access
from hyperopt_hn.data.mnist import FASHION_MNIST, MNIST, official_arrays
from hyperopt_hn.data.own_images import load_npz
from hyperopt_hn.errors import UserError, unknown

IDX_SETS = {"mnist": MNIST, "fashion-mnist": FASHION_MNIST}
DIGITS_TRAIN = 1500  # of 1,797; see _digits


def load(name: str, root: str | Path | None = None, download: bool = True, timeout: float = 10.0) -> Images:
    """The data set of that name, checked: a key of READERS, "auto" (MNIST, else digits), or a path ending in .npz.

    `timeout` in seconds bounds a mirror's silence; under "auto" it bounds the fetching as a whole.
    Raises UserError for an unknown name, a root that does not exist, missing data, and a file that is not the
    official one ("auto" too: a damaged MNIST is not replaced by digits).
    """
    if str(name).endswith(".npz"):
        return load_npz(name)
    if name not in READERS:
        raise UserError(unknown("data set", str(name), READERS))
    if not 0.0 < timeout <= 86400.0:
        raise UserError(f"timeout is {timeout}: choose seconds above 0 and up to 86400")
    return READERS[name](Access(None if root is None else Path(root), download, timeout))


def flat_rows(images: NDArray[np.uint8], scale: float) -> NDArray[np.float64]:
    """Images (N, H, W) or (N, H, W, C) as rows (N, D) in [0, 1]."""
    return images.reshape(len(images), -1) / float(scale)


def one_hot(labels: NDArray[np.uint8], k: int) -> NDArray[np.float64]:
    """Labels (N,) as rows (N, k) with a one at the label; raises UserError for a label of k or more."""
    if labels.size and int(labels.max()) >= k:
        raise UserError(f"label {int(labels.max())} does not fit {k} classes: choose a larger k")
    rows: NDArray[np.float64] = np.eye(k)[labels]
    return rows


def _digits(access: Access) -> Images:
    """scikit-learn's digits, in their order: the first 1,500 train, the last 297 test.

    Not shuffled, because neighbours in the file come from the same writers: a cut keeps nearly all of a
    writer's digits on one side, where a shuffle tests on handwriting that it trained on (measured: one
    nearest neighbour reads 98.8 % of shuffled test digits, 94.6 % of these). A sixth is MNIST's share too.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("the digits need scikit-learn: pip install scikit-learn") from None
    pixels, classes = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 8, 8).astype(np.uint8)
    labels = classes.astype(np.uint8)
    images.flags.writeable = labels.flags.writeable = False
    return Images(
        name="digits",
        train_images=images[:DIGITS_TRAIN],
        train_labels=labels[:DIGITS_TRAIN],
        test_images=images[DIGITS_TRAIN:],
        test_labels=labels[DIGITS_TRAIN:],
        scale=16.0,
        sha256=hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(),
        note="scikit-learn's digits (embedded)",
    )


def _auto(access: Access) -> Images:
    """MNIST where it is on disk or can be fetched in time, else digits, whose note then says why."""
    why = "MNIST was not on disk" + (" and could not be fetched" if access.download else "")
    hurried = replace(access, hurry=True)
    return first_there([lambda: _idx_images("mnist", hurried)], ("digits", lambda: _digits(access)), why)


def _idx_images(name: str, access: Access) -> Images:
    """A data set of IDX_SETS."""
    source = IDX_SETS[name]
    train_images, train_labels, test_images, test_labels = official_arrays(source, access)
    return Images(
        name=name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        scale=255.0,
        sha256=source.sha256,
        note=f"{source.title}, the official files ({'sha256' if source.plain else 'md5'} checked)",
    )


READERS: dict[str, Callable[[Access], Images]] = {
    "mnist": partial(_idx_images, "mnist"),
    "fashion-mnist": partial(_idx_images, "fashion-mnist"),
    "cifar10": partial(load_cifar, CIFAR10),
    "cifar100": partial(load_cifar, CIFAR100),
    "cifar10-jpeg": load_cifar10_jpeg,
    "digits": _digits,
    "auto": _auto,
}
