"""Checkpoints as torch files: tensors and plain data only, loadable with `torch.load(weights_only=True)`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from hyperopt_hn.errors import UserError
from hyperopt_hn.files import write_atomic
from hyperopt_hn.runs.writer import Codec

KIND = "hyperopt_hn"
FORMAT = 1
"""Version of the file's layout; a reader refuses a newer one."""


def save(file: BinaryIO, state: Mapping[str, Any]) -> None:
    """Write a state; TypeError for what `weights_only=True` would not give back."""
    torch.save({"kind": KIND, "format": FORMAT, "state": _clean(state)}, file)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, tensors on the processor. Raises UserError for a missing, damaged, foreign or newer file."""
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; give the path of a checkpoint") from None
    except Exception as error:  # torch, zipfile and the unpickler raise a dozen kinds for damaged or foreign bytes
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged or no checkpoint of this program ({line[:80]}); start again") from None
    if not isinstance(whole, dict) or whole.get("kind") != KIND or not isinstance(whole.get("state"), dict):
        raise UserError(f"{path} is no checkpoint of this program; give one that it wrote, or start again")
    if not isinstance(whole.get("format"), int) or whole["format"] > FORMAT:
        raise UserError(f"{path} has format {whole.get('format')}, newer than {FORMAT}; update hyperopt_hn")
    state: dict[str, Any] = whole["state"]
    return state


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
    if node is None or isinstance(node, (bool, int, float, str, torch.Tensor)):
        return node
    raise TypeError(f"a state holds tensors and plain data, not {type(node).__name__}")
