"""Zip archives that end with their own checksum, and checks that cost nothing before anything is unpacked.

The sha256 is the zip format's comment, so that every reader of zip files still reads the archive: of the bytes before
the comment, the comment's length taken as zero.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

_COMMENT = re.compile(rb"sha256 ([0-9a-f]{64})", re.DOTALL)
_LENGTH = len("sha256 ") + 64


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


def unread(error: Exception, signed: bool) -> OSError | None:
    """The system's own failure behind what a reader of archives raised; None for a file that is damaged.

    `zipfile` calls a file no archive when the system did not give it: of one with a right checksum that is not true.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error
    return OSError(errno.EIO, os.strerror(errno.EIO)) if signed and isinstance(error, zipfile.BadZipFile) else None


def check_stored(path: Path) -> None:
    """ValueError unless the archive's members are not compressed and together no larger than its file."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    total = sum(member.file_size for member in members)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or total > os.path.getsize(path):
        raise ValueError(f"it claims {total} bytes, more than it holds")


def check_headers(archive: zipfile.ZipFile, names: Iterable[str]) -> None:
    """ValueError for an array whose header claims another size than its member has: nothing is allocated for it."""
    for name in names:
        with archive.open(name) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            size = archive.getinfo(name).file_size - member.tell()
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{name} has {size} bytes for shape {shape} of {dtype}")
