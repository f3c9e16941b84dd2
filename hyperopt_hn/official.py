"""Official files: found on disk or fetched; an array leaves here only when its sha256 is the official one.

A file is looked for in the root that was given, in `$HYPEROPT_HN_DATA` and in the user's cache, each laid out
as torchvision does it (`MNIST/raw/train-images-idx3-ubyte`, plain or .gz) or with the file directly in it. A
file that is found and is not exactly the official one is an error, never a reason to look further: wrong
data must not pass silently for other data. What is missing everywhere is fetched into the first of the three
folders that can be written.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from hyperopt_hn.errors import UserError
from hyperopt_hn.idx import GZIP_MAGIC, gunzip, read_idx

ROOT_VARIABLE = "HYPEROPT_HN_DATA"


class MissingData(UserError):
    """The data are neither on disk nor to be fetched; "auto" then goes on with digits."""


@dataclass(frozen=True)
class IdxFile:
    """One official file: shape and sha256 of its uncompressed content, size and md5 of the .gz on mirrors."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    gz_size: int
    gz_md5: str

    @property
    def size(self) -> int:
        """Bytes of the uncompressed file: the header and one byte for each element."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class IdxSet:
    """A data set in MNIST's format: train images, train labels, test images, test labels; where they lie."""

    title: str
    folder: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    mirrors: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """One hash for the whole data set: that of its files' hashes, in order."""
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()


MNIST = IdxSet(
    title="MNIST",
    folder="MNIST/raw",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            9912422,
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            28881,
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            1648877,
            "9fb629c4189551a2d022fa330f9573f3",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            4542,
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)


@dataclass(frozen=True)
class Access:
    """How a reader may get at its files."""

    root: Path | None
    download: bool
    timeout: float  # seconds that a mirror may stay silent
    hurry: bool = False  # the time-out bounds the whole fetching, not only a silence


def official_arrays(source: IdxSet, access: Access) -> list[NDArray[np.uint8]]:
    """Train images, train labels, test images, test labels; the missing files are fetched, all are checked.

    Raises MissingData when a file is nowhere to be had, UserError when one is not the official file.
    """
    roots = _roots(access.root)
    found = {file.name: path for file in source.files if (path := _find(file, source, roots))}
    lacking = [file for file in source.files if file.name not in found]
    if lacking:
        found |= _fetch(lacking, source, roots, access)
    return [_read(found[file.name], file, source) for file in source.files]


def _roots(root: Path | None) -> tuple[Path, ...]:
    """The folders to look in, in order; one that the user named and that is not there is an error."""
    variable = os.environ.get(ROOT_VARIABLE, "")
    named = [("the data root", root)] if root is not None else []
    named += [(f"${ROOT_VARIABLE}", Path(variable))] if variable else []
    places = [Path(os.path.expanduser(path)) for _, path in named]
    for (what, path), place in zip(named, places, strict=True):
        if not os.path.isdir(place):
            raise UserError(f"{what} {path} is not a folder: make it, or name the folder that holds the data")
    return (*places, platformdirs.user_cache_path("hyperopt_hn"))


def _find(file: IdxFile, source: IdxSet, roots: tuple[Path, ...]) -> Path | None:
    """The first place that holds the file, plain before gzipped, or None."""
    folders = (folder for root in roots for folder in (root / source.folder, root))
    paths = (folder / name for folder in folders for name in (file.name, f"{file.name}.gz"))
    return next((path for path in paths if os.path.isfile(path)), None)


def _fetch(lacking: list[IdxFile], source: IdxSet, roots: tuple[Path, ...], access: Access) -> dict[str, Path]:
    """Name -> path of the fetched .gz of each file; raises MissingData with the remedy."""
    remedy = (
        f"put {', '.join(file.name for file in lacking)} (plain or .gz) into "
        f"{roots[0] / source.folder}, or choose --data digits"
    )
    if not access.download:
        raise MissingData(f"{source.title} is not on disk: {remedy}")
    from hyperopt_hn.fetch import Patience, Remote, fetch  # brings in the network libraries

    patience = Patience(access.timeout)
    if access.hurry:  # a mirror that hangs leaves the others their share of the time
        patience = Patience(access.timeout / (1 + len(source.mirrors)), time.monotonic() + access.timeout)
    paths = {}
    try:
        with _writable(roots, source) as folder:
            for file in lacking:
                remote = Remote(f"{file.name}.gz", file.gz_size, f"md5:{file.gz_md5}", source.mirrors)
                paths[file.name] = fetch(remote, folder, patience)
    except OSError as error:
        why = f"is not on disk and could not be fetched ({error})"
        raise MissingData(f"{source.title} {why}: {remedy}") from None
    return paths


@contextmanager
def _writable(roots: tuple[Path, ...], source: IdxSet) -> Iterator[Path]:
    """The data set's folder under the first root that can be written; a folder made in vain is removed again.

    Raises OSError when no root can be written.
    """
    for root in roots:
        folder = root / source.folder
        new = [each for each in (folder, *folder.parents) if not os.path.exists(each)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            try:
                yield folder
            finally:
                for each in new:
                    with suppress(OSError):  # it holds something by now
                        each.rmdir()
            return
    raise OSError(f"no permission to write in {' or '.join(map(str, roots))}")


def _read(path: Path, file: IdxFile, source: IdxSet) -> NDArray[np.uint8]:
    """The array in the official file at `path`; raises UserError that says what is wrong with any other."""
    largest = max(each.size for each in source.files)
    try:
        with open(path, "rb") as handle:
            data = handle.read(largest + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): mend its permissions") from None
    try:
        if data.startswith(GZIP_MAGIC):
            data = gunzip(data, largest)
        digest = hashlib.sha256(data).hexdigest()
        if twin := next((each.name for each in source.files if each.sha256 == digest != file.sha256), None):
            raise UserError(f"is {twin} under another name")
        array = read_idx(data)
        if array.shape != file.shape:
            raise UserError(f"holds the shape {array.shape} instead of {file.shape}")
        if digest != file.sha256:
            raise UserError("is damaged or altered: its sha256 is not the official one")
    except UserError as fault:
        remedy = "delete it to have it fetched again, or put the official file there"
        raise UserError(f"{path} {fault}; {remedy}") from None
    return array
