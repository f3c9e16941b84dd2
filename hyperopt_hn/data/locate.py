"""Where data are: the root that was given, `$HYPEROPT_HN_DATA` and the user's cache; what is missing is fetched.

A folder that the user named and that is not there is an error. A fetched file goes into the first of the three
places that can be written. Arrays that are expensive to make are kept in the cache under their content's hash.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from hyperopt_hn.errors import UserError
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.files.states import load_arrays, save_arrays

ROOT_VARIABLE = "HYPEROPT_HN_DATA"
APP = "hyperopt_hn"


class MissingData(UserError):
    """The data are neither on disk nor to be fetched; "auto" then goes on with what needs no files."""


@dataclass(frozen=True)
class Access:
    """How a reader may get at its files."""

    root: Path | None
    download: bool
    timeout: float  # seconds that a mirror may stay silent
    hurry: bool = False  # the time-out bounds the whole fetching, not only a silence


@dataclass(frozen=True)
class Published:
    """A file as its mirrors hold it: exactly `size` bytes with this md5."""

    name: str
    size: int
    md5: str


def roots(root: Path | None) -> tuple[Path, ...]:
    """The folders to look in, in order; raises UserError for one that the user named and that is not there."""
    variable = os.environ.get(ROOT_VARIABLE, "")
    named = [("the data root", root)] if root is not None else []
    named += [(f"${ROOT_VARIABLE}", Path(variable))] if variable else []
    places = [Path(os.path.expanduser(path)) for _, path in named]
    for (what, path), place in zip(named, places, strict=True):
        if not os.path.isdir(place):
            raise UserError(f"{what} {path} is not a folder: make it, or name the folder that holds the data")
    return (*places, platformdirs.user_cache_path(APP))


def find(places: Sequence[Path], folders: Sequence[str], names: Sequence[str]) -> Path | None:
    """The first file of one of these names, place by place and folder by folder ("" is the place), or None."""
    paths = (place / folder / name for place in places for folder in folders for name in names)
    return next((path for path in paths if os.path.isfile(path)), None)


def read(path: Path, limit: int) -> bytes:
    """The file's content, at most `limit` bytes and one more, which shows that it is too long. Raises UserError."""
    try:
        with open(path, "rb") as handle:
            return handle.read(min(limit, os.fstat(handle.fileno()).st_size) + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): correct its permissions") from None


def check(path: Path, content: bytes, md5: str) -> bytes:
    """The content, if its md5 is the published one; raises UserError with the remedy."""
    if hashlib.md5(content).hexdigest() != md5:
        fault = "is damaged or altered: its md5 is not the published one"
        raise UserError(f"{path} {fault}; delete it to have it fetched again, or put the official file there")
    return content


def obtain(
    files: Sequence[Published], mirrors: tuple[str, ...], folder: str, places: tuple[Path, ...], access: Access
) -> dict[str, Path]:
    """Name -> path of each file, fetched into `folder` of the first writable place.

    Raises OSError that says what each mirror did, or that no place can be written.
    """
    from hyperopt_hn.data.fetch import Patience, Remote, fetch_file  # brings in the network libraries

    patience = Patience(access.timeout)
    if access.hurry:  # a mirror that hangs leaves the others their share of the time
        patience = Patience(access.timeout / (1 + len(mirrors)), time.monotonic() + access.timeout)
    with _writable(places, folder) as where:
        return {
            file.name: fetch_file(Remote(file.name, file.size, f"md5:{file.md5}", mirrors), where, patience)
            for file in files
        }


def fetched(
    title: str,
    files: Sequence[Published],
    mirrors: tuple[str, ...],
    place: tuple[str, tuple[str, str]],
    access: Access,
) -> dict[str, Path]:
    """Name -> path of files that are nowhere on disk, fetched into a folder of the first writable place.

    `place` is that folder and what may be done instead: files to put there, or another data set. Raises MissingData
    where they are not to be fetched or no mirror has them.
    """
    folder, instead = place
    places = roots(access.root)
    if not access.download:
        raise missing(f"{title} is not on disk", instead, places[0] / folder)
    try:
        return obtain(files, mirrors, folder, places, access)
    except OSError as error:
        raise missing(
            f"{title} is not on disk and could not be fetched ({error})", instead, places[0] / folder
        ) from None


def missing(what: str, instead: tuple[str, str], folder: Path) -> MissingData:
    """The error of data that are nowhere: put what belongs there into the folder, or choose another data set."""
    files, other = instead
    remedy = f"{what}: put {files} into {folder}, or choose"
    return MissingData(f"{remedy} the data set {other!r}", f"{remedy} --data {other}")


def _sound(arrays: Mapping[str, np.ndarray]) -> bool:
    return True


def cached(
    key: str,
    make: Callable[[], Mapping[str, np.ndarray]],
    agrees: Callable[[Mapping[str, np.ndarray]], bool] = _sound,
) -> dict[str, np.ndarray]:
    """The arrays kept in the user's cache under `key`, which names all that they depend on; else made and kept.

    A damaged copy, and one that does not agree with what it was made from, is made anew; where the cache cannot be
    written, the arrays are made every time.
    """
    path = platformdirs.user_cache_path(APP) / "arrays" / f"{key}.npz"
    with suppress(UserError):
        arrays = load_arrays(path)
        if agrees(arrays):
            return arrays
    arrays = dict(make())
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: save_arrays(file, arrays))
    return arrays


@contextmanager
def _writable(places: tuple[Path, ...], name: str) -> Iterator[Path]:
    """The folder under the first place that can be written; a folder made in vain is removed again.

    Raises OSError when no place can be written.
    """
    for place in places:
        folder = place / name
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
    raise OSError(f"no permission to write in {' or '.join(map(str, places))}")
