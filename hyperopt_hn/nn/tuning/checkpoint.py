"""Everything the next step depends on, as tensors and plain data: taken, checked against the model, put back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.setup.problem import Optimizers

KIND = "hyperopt_hn.nn.TorchTuner"
VERSION = 2
"""Version of the state's layout; an older reader refuses a newer state."""

KEYS = (
    "response",
    "names",
    "model",
    "hypers",
    "kinds",
    "optimizers",
    "schedulers",
    "batches",
    "noise",
    "random",
    "steps",
    "course",
    "over",
)


def upgraded(state: Any) -> Any:
    """A state in the present layout: version 1 spelled the optimizers otherwise; no gain, nothing found of layers."""
    if not isinstance(state, Mapping):
        return state
    own = {{"optimisers": "optimizers"}.get(key, key): value for key, value in state.items()}
    own.setdefault("gain", None)
    own.setdefault("found", {})
    return own


def copied(node: Any) -> Any:
    """A deep copy of nested dicts, lists and tuples with every tensor on the processor."""
    if isinstance(node, Tensor):
        return node.detach().to("cpu", copy=True)
    if isinstance(node, Mapping):
        return {key: copied(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(copied(value) for value in node)
    if isinstance(node, np.generic):
        return node.item()
    return copy.deepcopy(node)


def kinds(optimizers: Optimizers) -> list[str]:
    """What the optimizers and schedulers are, with the number of parameters in each group: "SGD 4 2"."""
    groups = [[str(len(group["params"])) for group in o.param_groups] for o in optimizers.all()]
    mine = [" ".join([type(o).__name__, *sizes]) for o, sizes in zip(optimizers.all(), groups, strict=True)]
    return mine + [type(s).__name__ for s in optimizers.schedulers.all()]


def check_kind(state: Any) -> None:
    """Raise UserError unless a state is one of ours, of this version or an older one."""
    if not isinstance(state, Mapping) or state.get("kind") != KIND:
        raise UserError("this is no checkpoint of a TorchTuner; give one that tuner.state() or alternate() made")
    if not isinstance(state.get("version"), int) or state["version"] > VERSION:
        raise UserError(f"the checkpoint's version {state.get('version')} is newer than {VERSION}; update hyperopt_hn")
    missing = [key for key in KEYS if key not in state]
    if missing:
        raise UserError(f"the checkpoint lacks {', '.join(missing)}; it is damaged: take an earlier one")


def check_names(what: str, saved: Any, mine: Any) -> None:
    """Raise UserError if a plain fact of the checkpoint is another one here."""
    if saved != mine:
        raise UserError(f"the checkpoint has {what} {saved!r}, this tuner {mine!r}; build the same one to go on")


def check_fits(module: nn.Module, saved: Mapping[str, Tensor], what: str) -> None:
    """Raise UserError naming the first parameter or buffer that a checkpoint has otherwise than the module."""
    mine = module.state_dict()
    for name in [*mine, *saved]:
        if name not in saved:
            raise UserError(f"the checkpoint belongs to another {what}: it lacks {name!r}; build the same one")
        if name not in mine:
            raise UserError(f"the checkpoint belongs to another {what}: it has {name!r} besides; build the same one")
        here, there = mine[name], saved[name]
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            kinds = f"{tuple(there.shape)} {there.dtype} in the checkpoint, {tuple(here.shape)} {here.dtype} here"
            raise UserError(f"the checkpoint belongs to another {what}: {name!r} is {kinds}; build the same one")
