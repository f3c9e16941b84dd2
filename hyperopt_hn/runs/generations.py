"""Two generations of a run's checkpoints, each with the length and the hash of the record that it belongs to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hyperopt_hn.errors import NewerError, UnreadError, UserError, start_again
from hyperopt_hn.files import atomic, states
from hyperopt_hn.runs.appended import Appended, sha256_of

KEYS = {"state", "log_bytes", "clock_bytes", "seconds", "cpu_seconds"}


@dataclass(frozen=True)
class Codec:
    """How a state becomes a file and back; `nn` has one for tensors."""

    suffix: str
    save: Callable[[BinaryIO, Mapping[str, Any]], None]
    load: Callable[[Path], dict[str, Any]]


NPZ = Codec("npz", states.save_state, states.load_state)


def newest(folder: Path, codec: Codec) -> Path:
    """The last checkpoint's path."""
    return folder / f"checkpoint.{codec.suffix}"


def previous(folder: Path, codec: Codec) -> Path:
    """The path of the one before."""
    return folder / f"checkpoint.previous.{codec.suffix}"


def marks(name: str, file: Appended) -> dict[str, Any]:
    """What a checkpoint says of a record: "log_bytes" and "log_sha256"."""
    return {f"{name}_bytes": file.size, f"{name}_sha256": file.sha256}


def resume(folder: Path, codec: Codec) -> dict[str, Any] | None:
    """The newest whole checkpoint that the record fits; None for a run that was killed before its first one.

    Where it is the older one it takes the newest one's place, with a warning. Raises UserError where none can be used.
    """
    first: UserError | None = None
    for path in (newest(folder, codec), previous(folder, codec)):
        if not path.exists():
            continue
        try:
            whole = _load(path, codec)
            _check_records(folder, whole)
        except (NewerError, UnreadError):
            raise
        except UserError as error:
            first = first or error
            continue
        if path != newest(folder, codec):
            why = str(first).split(";")[0] if first else f"{newest(folder, codec)} is missing"
            warnings.warn(f"{why}; the run goes on from the checkpoint before it", stacklevel=4)
            os.replace(path, newest(folder, codec))
            atomic.sync_folder(folder)
        return whole
    if first is not None:
        raise first
    return None


def _load(path: Path, codec: Codec) -> dict[str, Any]:
    whole = codec.load(path)
    if KEYS - set(whole):
        raise start_again(f"{path} is not a checkpoint of this program")
    return whole


def _check_records(folder: Path, whole: Mapping[str, Any]) -> None:
    for stem in ("log", "clock"):
        path, size = folder / f"{stem}.jsonl", whole[f"{stem}_bytes"]
        if not path.exists() or path.stat().st_size < size:
            raise start_again(f"{path} has lost its end: it is shorter than the checkpoint says")
        wanted = whole.get(f"{stem}_sha256")  # earlier versions had none
        if wanted is not None and sha256_of(path, size) != wanted:
            raise start_again(f"{path} was altered after the checkpoint", "put the original back")


def names(codec: Codec) -> Sequence[str]:
    """What a run that starts again removes."""
    return [newest(Path(), codec).name, previous(Path(), codec).name, f"best.{codec.suffix}"]
