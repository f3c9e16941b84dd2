"""Files that are whole or absent: written beside, flushed, renamed; and JSON in such files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from hyperopt_hn.errors import UnreadError, UserError


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


def write_json(path: Path, data: Any) -> None:
    """Plain data as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """The data of a JSON file. Raises UserError if it is missing, not JSON, or cannot be read (UnreadError)."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; is {path.parent} a run directory?") from None
    except OSError as error:
        raise UnreadError(path, error) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete the run and make it again") from None
