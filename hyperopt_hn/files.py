"""Files that are whole or absent: atomic writes, checksums, and states (nested dicts with arrays) as npz, no pickle.

An archive that we write ends with its sha256 as the zip format's comment, so that every reader of zip files still
reads it: of the bytes before the comment, the comment's length taken as zero.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from hyperopt_hn.errors import NewerError, UserError

FORMAT = 2
"""Version of the checkpoint layout; a reader refuses a newer one. From 2 on a file without its checksum is damaged."""

_COMMENT = re.compile(rb"sha256 ([0-9a-f]{64})", re.DOTALL)
_LENGTH = len("sha256 ") + 64
_PLAIN = "plain.json"
_ARRAY = "__array__"


def write_atomic(path: Path, write: Callable[[BinaryIO], object], previous: Path | None = None) -> None:
    """Write a file beside `path`, flush it to disk and rename it: a killed process leaves the old file or the new.

    The folder is flushed too. What was there becomes `previous`, if given. A symbolic link is replaced, not followed.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    try:
        with open(partial, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            _keep(path, previous)
        os.replace(partial, path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _keep(path: Path, previous: Path) -> None:
    """Give a file a second name, so that at no moment the first one is missing; where links are refused, rename it."""
    link = previous.with_name(f".{previous.name}.{os.getpid()}.part")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        os.replace(path, previous)
    else:
        os.replace(link, previous)


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk, where the system can."""
    with suppress(OSError):  # Windows and some file systems open no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def no_link(path: str, flags: int) -> int:
    """For `open(..., opener=no_link)`: OSError for a symbolic link, which would have another file written."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class Signed:
    """A binary stream that only grows and knows its checksum; `sign` makes it the archive's comment.

    `error` is the first failure of the stream below, which writers of archives may hide behind another one.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._sha, self._tail = hashlib.sha256(), b""
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write it all and remember it."""
        try:
            self.file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self._sha.update(data)
        self._tail = (self._tail + bytes(memoryview(data)[-22:]))[-22:]
        return len(data)

    def flush(self) -> None:
        """Hand over what was written."""
        self.file.flush()

    def sign(self) -> None:
        """Append the checksum as the comment of the zip archive that was written."""
        if not (self._tail.startswith(b"PK\x05\x06") and self._tail.endswith(b"\0\0")):
            raise ValueError("what was written is no zip archive without a comment")
        self.file.seek(-2, os.SEEK_END)
        self.file.write(_LENGTH.to_bytes(2, "little") + f"sha256 {self._sha.hexdigest()}".encode())


def verified(path: Path) -> bool:
    """Whether an archive has a checksum, which is right; ValueError if it is not, OSError if it cannot be read."""
    with open(path, "rb") as file:
        body = os.fstat(file.fileno()).st_size - _LENGTH
        if body < 22:
            return False
        file.seek(body)
        found = _COMMENT.fullmatch(file.read())
        if found is None:
            return False
        file.seek(0)
        sha, left = hashlib.sha256(), body - 2
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            sha.update(piece)
            left -= len(piece)
        length = int.from_bytes(file.read(2), "little")
    sha.update(b"\0\0")
    if length != _LENGTH or sha.hexdigest() != found[1].decode():
        raise ValueError("its checksum is another one")
    return True


def check_stored(path: Path) -> None:
    """ValueError unless the archive's members are not compressed and together no larger than its file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    held = sum(member.file_size for member in members)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or held > os.path.getsize(path):
        raise ValueError(f"it claims {held} bytes, more than it holds")


def write_json(path: Path, data: Any) -> None:
    """Plain data as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """The data of a JSON file. Raises UserError if it is missing or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; is {path.parent} a run directory?") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete the run and make it again") from None


def save_arrays(file: BinaryIO, arrays: Mapping[str, Any], plain: str | None = None) -> None:
    """An npz archive whose bytes depend on the contents alone (fixed dates, no pickle, not compressed), signed."""
    signed = Signed(file)
    with zipfile.ZipFile(cast("BinaryIO", signed), "w", zipfile.ZIP_STORED) as archive:
        if plain is not None:
            archive.writestr(_entry(_PLAIN), plain)
        for name, array in arrays.items():
            with archive.open(_entry(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    signed.sign()


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an npz archive, checked and without pickle. Raises UserError for anything else."""
    return _read(path)[0]


def save_state(file: BinaryIO, state: Mapping[str, Any]) -> None:
    """A state (nested dicts and lists of arrays and plain data) as one npz archive."""
    arrays: dict[str, np.ndarray] = {}
    plain = json.dumps({"format": FORMAT, "state": _pack(state, arrays)}, allow_nan=False)
    save_arrays(file, arrays, plain)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, equal bit for bit. Raises UserError for a damaged, foreign or newer file."""
    arrays, plain, signed = _read(path)
    try:
        whole = json.loads(plain) if plain is not None else None
        if not isinstance(whole, dict) or not isinstance(whole.get("format"), int):
            raise ValueError("it is no checkpoint")
        if whole["format"] > FORMAT:
            raise NewerError.spelled(
                lambda say: (
                    f"{path} has format {whole['format']}, newer than this program's {FORMAT}: update hyperopt_hn, "
                    f"or start the run again with {say('overwrite')}"
                )
            )
        if whole["format"] >= 2 and not signed:
            raise ValueError("its checksum is missing")
        state = _unpack(whole["state"], arrays)
        if not isinstance(state, dict):
            raise ValueError("it holds no state")
        return state
    except NewerError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _again(f"{path} cannot be used: {error}; start the run again") from None


def _again(what: str) -> UserError:
    return UserError.spelled(lambda say: f"{what} with {say('overwrite')}")


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _read(path: Path) -> tuple[dict[str, np.ndarray], str | None, bool]:
    try:
        signed = verified(path)
        check_stored(path)
        with zipfile.ZipFile(path) as archive:
            plain = archive.read(_PLAIN).decode() if _PLAIN in archive.namelist() else None
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            check_headers(archive, names)
            return {name[:-4]: _array(archive.read(name)) for name in names}, plain, signed
    except FileNotFoundError:
        raise UserError(f"{path} is missing; is {path.parent} a finished run?") from None
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damaged bytes
        raise _again(f"{path} is damaged ({error}); make the run again") from None


def check_headers(archive: zipfile.ZipFile, names: Iterable[str]) -> None:
    """ValueError for an array whose header claims another size than its member has: nothing is allocated for it."""
    for name in names:
        with archive.open(name) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            held = archive.getinfo(name).file_size - member.tell()
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize != held:
            raise ValueError(f"{name} has {held} bytes for shape {shape} of {dtype}")


def _array(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.tell() != len(data):
        raise ValueError("an array has surplus bytes")
    return array


def _pack(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = node
        return {_ARRAY: key}
    if isinstance(node, np.generic):
        return node.item()
    if isinstance(node, Mapping):
        if not all(isinstance(key, str) for key in node):
            raise TypeError("the keys of a state must be strings")
        return {key: _pack(value, arrays) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_pack(value, arrays) for value in node]
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    raise TypeError(f"a state holds arrays and plain data, not {type(node).__name__}")


def _unpack(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, dict):
        if set(node) == {_ARRAY}:
            return arrays[node[_ARRAY]]
        return {key: _unpack(value, arrays) for key, value in node.items()}
    if isinstance(node, list):
        return [_unpack(value, arrays) for value in node]
    return node
