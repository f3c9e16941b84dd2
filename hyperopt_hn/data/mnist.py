"""Official files: found on disk or fetched; an array leaves here only when its checksum is the official one.

A file is looked for in the root that was given, in `$HYPEROPT_HN_DATA` and in the user's cache, each laid out
as torchvision does it (`MNIST/raw/train-images-idx3-ubyte`, plain or .gz) or with the file directly in it. A
file that is found and is not exactly the official one is an error, never a reason to look further: wrong
data must not pass silently for other data. What is missing everywhere is fetched into the first of the three
folders that can be written.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperopt_hn.data.idx import GZIP_MAGIC, gunzip, read_idx
from hyperopt_hn.data.locate import Access, Published, fetched, find, read, roots
from hyperopt_hn.errors import UserError


@dataclass(frozen=True)
class IdxFile:
    """One official file: shape and sha256 of its uncompressed content, size and md5 of the .gz on mirrors.

    An empty sha256 says that none was published: the file is then taken as .gz only, checked by its md5.
    """

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
    """A data set in MNIST's format: train images, train labels, test images, test labels; their folder and mirrors."""

    title: str
    folder: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    mirrors: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """One hash for the whole data set: that of its files' hashes, in order."""
        return hashlib.sha256("".join(file.sha256 or file.gz_md5 for file in self.files).encode()).hexdigest()

    @property
    def plain(self) -> bool:
        """Whether the uncompressed files have published hashes."""
        return all(file.sha256 for file in self.files)


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

FASHION_MNIST = IdxSet(
    title="Fashion-MNIST",
    folder="FashionMNIST/raw",
    files=(
        IdxFile("train-images-idx3-ubyte", (60000, 28, 28), "", 26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        IdxFile("train-labels-idx1-ubyte", (60000,), "", 29515, "25c81989df183df01b3e8a0aad5dffbe"),
        IdxFile("t10k-images-idx3-ubyte", (10000, 28, 28), "", 4422102, "bef4ecab320f06d8554ea6380940ec79"),
        IdxFile("t10k-labels-idx1-ubyte", (10000,), "", 5148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
)


def official_arrays(source: IdxSet, access: Access) -> list[NDArray[np.uint8]]:
    """Train images, train labels, test images, test labels; the missing files are fetched, all are checked.

    Raises MissingData when a file is nowhere to be had, UserError when one is not the official file.
    """
    places = roots(access.root)
    folders = (source.folder, "") if source.plain else (source.folder,)  # loose files are taken for MNIST's
    found = {file.name: path for file in source.files if (path := find(places, folders, _names(file)))}
    lacking = [file for file in source.files if file.name not in found]
    if lacking:
        found |= _fetch(lacking, source, access)
    return [_read(found[file.name], file, source) for file in source.files]


def _names(file: IdxFile) -> tuple[str, ...]:
    """What the file may be called: plain before gzipped; only gzipped when only the .gz has a published hash."""
    return (file.name, f"{file.name}.gz") if file.sha256 else (f"{file.name}.gz",)


def _fetch(lacking: list[IdxFile], source: IdxSet, access: Access) -> dict[str, Path]:
    """Name -> path of the fetched .gz of each file; raises MissingData with the remedy."""
    kinds = "plain or .gz" if source.plain else "as .gz, which alone has a published hash"
    instead = (f"{', '.join(file.name for file in lacking)} ({kinds})", "digits")
    wanted = [Published(f"{file.name}.gz", file.gz_size, file.gz_md5) for file in lacking]
    paths = fetched(source.title, wanted, source.mirrors, (source.folder, instead), access)
    return {file.name: paths[f"{file.name}.gz"] for file in lacking}


def _read(path: Path, file: IdxFile, source: IdxSet) -> NDArray[np.uint8]:
    """The array in the official file at `path`; raises UserError that says what is wrong with any other."""
    largest = max(each.size for each in source.files)
    data = read(path, largest)
    try:
        if not file.sha256 and hashlib.md5(data).hexdigest() != file.gz_md5:
            raise UserError("is damaged or altered: its md5 is not the official one")
        if data.startswith(GZIP_MAGIC):
            data = gunzip(data, largest)
        digest = hashlib.sha256(data).hexdigest()
        if twin := next((each.name for each in source.files if each.sha256 == digest != file.sha256), None):
            raise UserError(f"is {twin} under another name")
        array = read_idx(data)
        if array.shape != file.shape:
            raise UserError(f"holds the shape {array.shape} instead of {file.shape}")
        if file.sha256 and digest != file.sha256:
            raise UserError("is damaged or altered: its sha256 is not the official one")
    except UserError as fault:
        remedy = "delete it to have it fetched again, or put the official file there"
        raise UserError(f"{path} {fault}; {remedy}") from None
    return array
