"""A file that only grows, line by line, and knows its length and hash."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path


class Appended:
    """The first `size` bytes of a file, and what is written behind them; a symbolic link is refused (OSError).

    Unbuffered, so that every line is in the file at once and nothing is left to write when it is closed.
    """

    def __init__(self, path: Path, size: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        self._file = FileIO(os.open(path, flags, 0o666), "r+")
        self._sha = hashlib.sha256()
        self.size = size
        left = size
        while left > 0 and (piece := self._file.read(min(left, 1 << 20))):
            self._sha.update(piece)
            left -= len(piece)
        self._file.truncate(size)
        self._file.seek(size)

    @property
    def sha256(self) -> str:
        """Of all that is in it."""
        return self._sha.hexdigest()

    def write(self, line: bytes) -> None:
        """Append; OSError also where only a part fits on a full disk."""
        if (self._file.write(line) or 0) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sha.update(line)
        self.size += len(line)

    def sync(self) -> None:
        """Flush it to disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; what a system reports only now was synced before, or is written again after a resume."""
        with suppress(OSError):
            self._file.close()


def sha256_of(path: Path, size: int) -> str:
    """The hash of a file's first `size` bytes."""
    sha, left = hashlib.sha256(), size
    with open(path, "rb") as file:
        while left > 0 and (piece := file.read(min(left, 1 << 20))):
            sha.update(piece)
            left -= len(piece)
    return sha.hexdigest()
