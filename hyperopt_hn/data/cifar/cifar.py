"""CIFAR-10 and CIFAR-100: the binary archive, torchvision's pickles and unpacked binaries become the same arrays.

Place by place (see places) this module takes the first of: the official binary archive, checked by its md5; the
folder that torchvision unpacks, whose pickles are opened only once their md5s match; the folder that the binary
archive unpacks to, for whose files no checksum was published: there the lengths, the labels' range and the
balance of the classes are checked. Krizhevsky 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hyperopt_hn.config import described
from hyperopt_hn.data.cifar.cifar_pickles import byte_array, load_plain
from hyperopt_hn.data.images import Images, Pixels
from hyperopt_hn.data.locate import Access, Published, check, fetched, find, read, roots
from hyperopt_hn.errors import UserError

SHAPE = (3, 32, 32)  # of an image in the files: all red values, all green, all blue
PIXELS = 3 * 32 * 32
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
LARGEST = 10**9  # bytes; no file of these data sets comes near
Part = tuple[Pixels, Pixels]


@described
@dataclass(frozen=True)
class CifarSet:
    """One of the two data sets: its three forms on disk, each with its train files first and the test file last."""

    name: str
    title: str
    classes: int
    counts: tuple[int, ...]
    """Images in each file."""
    archive: Published
    binary_folder: str
    binary_files: tuple[str, ...]
    pickle_folder: str
    pickles: tuple[tuple[str, str], ...]
    """Name and md5 of each pickle."""
    label_key: bytes
    label_bytes: int
    """Bytes before an image's pixels, the last of which is its label (CIFAR-100 puts the coarse one before it)."""


CIFAR10 = CifarSet(
    name="cifar10",
    title="CIFAR-10",
    classes=10,
    counts=(10_000,) * 6,
    archive=Published("cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
    binary_folder="cifar-10-batches-bin",
    binary_files=(*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
    pickle_folder="cifar-10-batches-py",
    pickles=(
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        ("test_batch", "40351d587109b95175f43aff81a1287e"),
    ),
    label_key=b"labels",
    label_bytes=1,
)
CIFAR100 = CifarSet(
    name="cifar100",
    title="CIFAR-100",
    classes=100,
    counts=(50_000, 10_000),
    archive=Published("cifar-100-binary.tar.gz", 168_513_733, "03b5dce01913d631647c71ecec9e9cb8"),
    binary_folder="cifar-100-binary",
    binary_files=("train.bin", "test.bin"),
    pickle_folder="cifar-100-python",
    pickles=(
        ("train", "16019d7e3df5f24257cddd939b257f8d"),
        ("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
    ),
    label_key=b"fine_labels",
    label_bytes=2,
)


def load_cifar(source: CifarSet, access: Access) -> Images:
    """The data set as (N, 32, 32, 3), train (50,000) and test (10,000).

    Raises MissingData when it is nowhere to be had, UserError for a file that is not the official one.
    """
    places = roots(access.root)
    for place in places:
        for form in (_archived, _pickled, _unpacked):
            if (found := form(source, place)) is not None:
                return _images(source, *found)
    found = _archived(source, _fetched(source, access).parent)
    assert found is not None
    return _images(source, *found)


def read_records(data: bytes, count: int, source: CifarSet) -> Part:
    """Images (count, 3, 32, 32) and labels (count,) of one binary file.

    Raises UserError when the length is not that of `count` records or a label is out of range.
    """
    wanted = count * (source.label_bytes + PIXELS)
    if len(data) != wanted:
        fault = "is truncated" if len(data) < wanted else "is too long"
        raise UserError(f"{fault}: it does not hold the {wanted} bytes of {count} images")
    rows = np.frombuffer(data, dtype=np.uint8).reshape(count, -1)
    return _part(rows[:, source.label_bytes :], rows[:, source.label_bytes - 1], count, source)


def read_pickle(data: bytes, count: int, source: CifarSet) -> Part:
    """Images (count, 3, 32, 32) and labels (count,) of one pickle, whose md5 the caller has checked.

    Raises UserError for anything else than what torchvision unpacks.
    """
    try:
        batch = load_plain(data)
        pixels, labels = byte_array(batch[b"data"]), np.array(batch[source.label_key])
    except Exception as error:  # a pickle that is no pickle fails in many ways
        raise UserError(f"is not one of CIFAR's pickles ({type(error).__name__})") from None
    if pixels.shape != (count, PIXELS) or labels.shape != (count,):
        raise UserError(f"holds images of shape {pixels.shape} and {labels.size} labels, not {count} images")
    if labels.dtype.kind not in "iu":
        raise UserError(f"holds labels of type {labels.dtype}")
    return _part(pixels, labels, count, source)


def _part(pixels: Pixels, labels: np.ndarray, count: int, source: CifarSet) -> Part:
    if int(labels.max()) >= source.classes or int(labels.min()) < 0:
        raise UserError(f"holds a label outside 0..{source.classes - 1}: it is not {source.title}")
    return pixels.reshape(count, *SHAPE), labels.astype(np.uint8)


def _archived(source: CifarSet, place: Path) -> tuple[list[Part], str] | None:
    path = find([place], [""], [source.archive.name])
    if path is None:
        return None
    data = check(path, read(path, LARGEST), source.archive.md5)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        members = [archive.extractfile(f"{source.binary_folder}/{name}") for name in source.binary_files]
        contents = [member.read() for member in members if member is not None]
    parts = [read_records(each, n, source) for each, n in zip(contents, source.counts, strict=True)]
    return parts, "the official archive (md5 checked)"


def _pickled(source: CifarSet, place: Path) -> tuple[list[Part], str] | None:
    folder = place / source.pickle_folder
    md5s = dict(source.pickles)

    def content(path: Path) -> bytes:
        return check(path, read(path, LARGEST), md5s[path.name])

    parts = _files(folder, tuple(md5s), source, read_pickle, content)
    return None if parts is None else (parts, "torchvision's folder (md5 checked)")


def _unpacked(source: CifarSet, place: Path) -> tuple[list[Part], str] | None:
    folder = place / source.binary_folder
    largest = max(source.counts) * (source.label_bytes + PIXELS)
    parts = _files(folder, source.binary_files, source, read_records, lambda path: read(path, largest))
    if parts is None:
        return None
    for split, chosen in (("train", parts[:-1]), ("test", parts[-1:])):
        counts = np.bincount(np.concatenate([labels for _, labels in chosen]), minlength=source.classes)
        if len(set(counts.tolist())) != 1:
            raise UserError(f"{folder} is damaged or altered: its {split} classes are not of one size; delete it")
    return parts, "unpacked binary files (lengths and classes checked; no checksum was published)"


def _files(
    folder: Path,
    names: tuple[str, ...],
    source: CifarSet,
    reader: Callable[[bytes, int, CifarSet], Part],
    content: Callable[[Path], bytes],
) -> list[Part] | None:
    """What the reader makes of each file, or None where there is no such folder."""
    if not folder.is_dir():
        return None
    parts = []
    for name, count in zip(names, source.counts, strict=True):
        if not (folder / name).is_file():
            raise UserError(f"{folder} lacks {name}: put it there, or delete the folder to have {source.title} fetched")
        try:
            parts.append(reader(content(folder / name), count, source))
        except UserError as fault:
            line = str(fault)
            raise UserError(
                line if str(folder) in line else f"{folder / name} {line}; put the official one there"
            ) from None
    return parts


def _fetched(source: CifarSet, access: Access) -> Path:
    instead = (f"{source.archive.name} or {source.pickle_folder}", "digits")
    return fetched(source.title, [source.archive], MIRRORS, ("", instead), access)[source.archive.name]


def _images(source: CifarSet, parts: list[Part], note: str) -> Images:
    arrays = (
        np.ascontiguousarray(np.concatenate([images for images, _ in parts[:-1]]).transpose(0, 2, 3, 1)),
        np.concatenate([labels for _, labels in parts[:-1]]),
        np.ascontiguousarray(parts[-1][0].transpose(0, 2, 3, 1)),
        parts[-1][1],
    )
    digest = hashlib.sha256()
    for array in arrays:
        array.flags.writeable = False
        digest.update(array.data)
    return Images(
        name=source.name,
        train_images=arrays[0],
        train_labels=arrays[1],
        test_images=arrays[2],
        test_labels=arrays[3],
        scale=255.0,
        sha256=digest.hexdigest(),
        note=f"{source.title}, {note}",
    )
