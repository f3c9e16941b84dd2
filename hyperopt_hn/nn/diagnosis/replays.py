"""Calling a model again without a trace: what its modules keep, its modes and random numbers come back; hooks wait."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from hyperopt_hn.nn.responses.base import kept_buffers
from hyperopt_hn.nn.setup.random_states import random_state, set_random_state

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_TORCHS = frozenset(vars(nn.Module()))


@contextmanager
def untouched(model: nn.Module, device: torch.device, torchs_hooks_alone: bool = False) -> Iterator[None]:
    """Inside, the model may be called at will; after it, its buffers, attributes and all random states are as before.

    The user's own forward hooks are not called inside: they may count or record. Those of torch's utilities (pruning,
    weight_norm), which make weights, are, and this project's too unless `torchs_hooks_alone`. Objects that modules hold
    are put back; what is inside them is not.
    """
    start = random_state(device)
    kept = [(module, dict(vars(module))) for module in model.modules()]
    inside = [(held, _copied(held)) for module, before in kept for held in _containers(module, before)]
    for module, _ in kept:
        for name in _HOOKS:
            hooks = vars(module)[name]
            vars(module)[name] = OrderedDict(
                (key, hook) for key, hook in hooks.items() if _stays(hook, torchs_hooks_alone)
            )
    try:
        with kept_buffers(model):
            yield
    finally:
        for module, before in kept:
            vars(module).clear()
            vars(module).update(before)
        for held, content in inside:
            _put_back(held, content)
        set_random_state(start, device)


def _stays(hook: Any, torchs_alone: bool) -> bool:
    """Whether a hook, a function, method or object, is torch's own or this project's."""
    where = getattr(getattr(hook, "__func__", hook), "__module__", None) or type(hook).__module__
    return f"{where}.".startswith("torch." if torchs_alone else ("torch.", "hyperopt_hn."))


def _containers(module: nn.Module, held: dict[str, Any]) -> list[Any]:
    return [x for name, x in held.items() if name not in _TORCHS and isinstance(x, (list, dict, set))]


def _copied(held: Any) -> Any:
    return held.copy()


def _put_back(held: Any, content: Any) -> None:
    held.clear()
    if isinstance(held, list):
        held.extend(content)
    else:
        held.update(content)
