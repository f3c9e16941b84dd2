"""Checkpoints as torch files: tensors and plain data only, loadable with `torch.load(weights_only=True)`.

Each ends with its checksum (see `hyperopt_hn.files`), which is verified when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch

from hyperopt_hn.errors import NewerError, UnreadError, UserError, start_again
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.files.signed_archives import Signed, check_stored, unread, verified
from hyperopt_hn.runs.generations import Codec

KIND = "hyperopt_hn"
FORMAT = 2
"""Version of the file's layout; a reader refuses a newer one. From 2 on a file without its checksum is damaged."""


def save(file: BinaryIO, state: Mapping[str, Any]) -> None:
    """Write a state; TypeError for what `weights_only=True` would not give back."""
    signed = Signed(file)
    try:
        torch.save({"kind": KIND, "format": FORMAT, "state": _clean(state)}, cast("BinaryIO", signed))
    except RuntimeError:
        if signed.error is not None:  # torch says "unexpected pos" where the disk is full
            raise signed.error from None
        raise
    signed.sign()


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, tensors on the processor. Raises UserError for a missing, damaged, foreign or newer file."""
    signed = False
    try:
        signed = verified(path)
        check_stored(path)
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; give the path of a checkpoint") from None
    except Exception as error:  # torch, zipfile and the unpickler raise a dozen kinds for damaged or foreign bytes
        if system := unread(error, signed):
            raise UnreadError(path, system) from None
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _damaged(path, line[:80]) from None
    if not isinstance(whole, dict) or whole.get("kind") != KIND or not isinstance(whole.get("state"), dict):
        raise start_again(f"{path} is no checkpoint of this program", "give one that it wrote")
    if not isinstance(whole.get("format"), int) or whole["format"] > FORMAT:
        raise NewerError(f"{path} has format {whole.get('format')}, newer than {FORMAT}; update hyperopt_hn")
    if whole["format"] >= 2 and not signed:
        raise _damaged(path, "its checksum is missing")
    try:
        _check_extent(whole["state"], path.stat().st_size)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    state: dict[str, Any] = whole["state"]
    return state


def _check_extent(state: Any, size: int) -> None:
    """ValueError for a file that unfolds into far more than it holds: lists of lists of one list, repeated elements."""
    waiting, nodes, total = [state], 0, 0
    while waiting:
        node = waiting.pop()
        nodes += 1
        total += node.numel() * node.element_size() if isinstance(node, torch.Tensor) else 0
        if nodes > size or total > 16 * size:
            raise ValueError(f"it claims far more than its {size} bytes")
        if isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, (list, tuple)):
            waiting.extend(node)


def _damaged(path: Path, why: str) -> UserError:
    return start_again(f"{path} is damaged or no checkpoint of this program ({why})")


TORCH = Codec("pt", save, load)
"""For RunLog(..., codec=TORCH): checkpoint.pt and best.pt."""


def save_checkpoint(path: Path | str, state: Mapping[str, Any]) -> None:
    """Write a tuner's `state()` atomically: a killed process leaves the old file or the new."""
    write_atomic(Path(path), lambda file: save(file, state))


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """A state for a tuner's `load_state`."""
    return load(Path(path))


def _clean(node: Any) -> Any:
    """The same tensors in new dicts, lists and tuples, numbers as Python's own; TypeError for anything else."""
    if isinstance(node, np.generic):  # before float, whose child np.float64 is
        return node.item()
    if isinstance(node, Mapping):
        return {_clean(key): _clean(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_clean(value) for value in node)
    if isinstance(node, torch.Tensor):  # one that repeats its elements is written out in full
        return node.contiguous() if 0 in node.stride() and node.layout == torch.strided else node
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    raise TypeError(f"a state holds tensors and plain data, not {type(node).__name__}")
