"""Custom images: one npz archive with four arrays, as `numpy.savez` writes it.

train_images (N, H, W) or (N, H, W, C) uint8       test_images  (M, H, W) or (M, H, W, C) uint8
train_labels (N,) whole numbers 0..255              test_labels  (M,) whole numbers, none above train's largest

Files exported folder by folder are sorted by class, and every split is cut from one end; so the rows are shuffled, in
the same way whenever the file is read, and a line of the log says so.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from hyperopt_hn.data.images import Images, Pixels
from hyperopt_hn.errors import UserError
from hyperopt_hn.files.signed_archives import check_headers

FREE = 256 * 10**6
"""Bytes that an archive may unpack to whatever its own size is."""
RATIO = 150
"""Above that, so many times its size: binary images reach 115; a compressed row of zeros reaches 1,030."""
ORDER = 0
"""The seed of the order; that of a run is another, so that all runs on a file share its splits."""
NAMES = ("train_images", "train_labels", "test_images", "test_labels")


def load_npz(path: str | Path) -> Images:
    """The images in a user's archive, shuffled; its name is the file's with every odd character as "_".

    Raises UserError with one line for a missing file, array, image or label, and for a wrong type or shape.
    """
    path = Path(path).expanduser()
    try:
        with open(path, "rb") as file:
            found = read_npz(file, NAMES)
        arrays = [
            _images(name, found[name]) if name.endswith("images") else _labels(name, found[name]) for name in NAMES
        ]
        _fit(*arrays)
        arrays = _shuffled(arrays)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a file that numpy.savez wrote") from None
    except UserError as fault:
        raise UserError(f"{path} {fault}") from None
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}".encode())
        digest.update(array.data)
        array.flags.writeable = False
    name = re.sub(r"[^A-Za-z0-9_.]", "_", path.name)
    note = f"{name}, custom images"
    logging.getLogger(__name__).warning(
        "%s: its %d training and %d test images are shuffled, the same way for every run, before a part of them is set "
        "apart for validation", name, len(arrays[0]), len(arrays[2]),
    )  # fmt: skip
    return Images(name, arrays[0], arrays[1], arrays[2], arrays[3], 255.0, digest.hexdigest(), note)


def read_npz(file: IO[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
    """These arrays of an archive, read without pickle. Raises UserError for anything else than such an archive."""
    if not zipfile.is_zipfile(file):
        raise UserError("is not an npz archive: write it with numpy.savez")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of headers that it has to repair
            with np.load(file, allow_pickle=False) as archive:
                lacking = [name for name in names if name not in archive.files]
                _check_sizes(archive.zip, [f"{name}.npy" for name in names if name not in lacking])
                found = {name: archive[name] for name in names if name not in lacking}
    except _TooLarge as fault:
        raise UserError(str(fault)) from None
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged bytes
        what = " ".join(str(error).split()) or type(error).__name__
        if "Object arrays" in what:
            raise UserError("holds pickled objects, which are never opened: save plain numbers instead") from None
        raise UserError(f"is not a sound npz archive ({what[:120]}): write it with numpy.savez") from None
    if lacking:
        raise UserError(f"lacks {', '.join(lacking)}: it must hold {', '.join(names)}")
    return found


def _shuffled(arrays: Sequence[Pixels]) -> list[Pixels]:
    """Images and labels of each split in another order."""
    orders = [np.random.default_rng(ORDER).permutation(len(arrays[k])) for k in (0, 2)]
    return [np.ascontiguousarray(array[orders[k // 2]]) for k, array in enumerate(arrays)]


class _TooLarge(Exception):
    """An archive that claims far more than its size."""


def _check_sizes(archive: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Before anything is unpacked: what the members claim against what they take, and each array's header."""
    members = [archive.getinfo(name) for name in names if name in archive.namelist()]
    claimed, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if claimed > max(FREE, RATIO * packed):
        raise _TooLarge(
            f"claims {claimed / 1e9:.1f} GB in {packed / 1e6:.1f} MB: write it with numpy.savez, not compressed, if "
            "that is what it holds"
        )
    check_headers(archive, [member.filename for member in members])


def _images(name: str, array: np.ndarray) -> Pixels:
    if array.dtype != np.uint8:
        raise UserError(f"has {name} of type {array.dtype}: they must be uint8, 0 to 255")
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise UserError(f"has {name} of shape {array.shape}: it must be (N, H, W) or (N, H, W, C), none of them 0")
    return np.ascontiguousarray(array)


def _labels(name: str, array: np.ndarray) -> Pixels:
    if array.dtype.kind not in "iu" or array.ndim != 1 or array.size == 0:
        raise UserError(f"has {name} of type {array.dtype} and shape {array.shape}: they must be whole numbers (N,)")
    if int(array.min()) < 0 or int(array.max()) > 255:
        raise UserError(f"has {name} from {array.min()} to {array.max()}: they must be in 0..255")
    return array.astype(np.uint8)


def _fit(train_images: Pixels, train_labels: Pixels, test_images: Pixels, test_labels: Pixels) -> None:
    for split, images, labels in (("train", train_images, train_labels), ("test", test_images, test_labels)):
        if len(images) != len(labels):
            raise UserError(f"has {len(images)} {split}_images but {len(labels)} {split}_labels: give each its label")
    if train_images.shape[1:] != test_images.shape[1:]:
        shapes = f"{train_images.shape[1:]} to train and {test_images.shape[1:]} to test"
        raise UserError(f"has images of shape {shapes}: make them of one shape")
    if test_labels.max() > train_labels.max():
        raise UserError(f"has the label {test_labels.max()} in test_labels only: train on every class that is tested")
