"""What a module keeps from one call to the next while it is evaluated: a value made at one λ must not serve another.

Some public modules (timm's LeViT and EfficientFormer) keep in a dictionary, while they are evaluated, what they read
out of a parameter. Where the parameter responds, that value belongs to one λ and to one graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

_OWN = frozenset(vars(nn.Module()))


@contextmanager
def forgetting(model: nn.Module) -> Iterator[None]:
    """What modules in evaluation begin to keep inside is dropped at the end: entries of dictionaries, graphs.

    A plain attribute that takes a tensor without a graph may be a state (a hidden one, handed on from batch to batch)
    and stays; a model in training is left alone.
    """
    before = None if model.training else _kept(model)
    try:
        yield
    finally:
        if before is not None:
            for module, (entries, values) in before.items():
                _drop(module, entries, values)


def _kept(model: nn.Module) -> dict[nn.Module, tuple[dict[str, set[Any]], dict[str, Any]]]:
    """Of each module the keys of its dictionaries and its attributes."""
    found = {}
    for module in model.modules():
        own = {name: value for name, value in vars(module).items() if name not in _OWN}
        found[module] = ({name: set(value) for name, value in own.items() if type(value) is dict}, own)
    return found


def _drop(module: nn.Module, entries: dict[str, set[Any]], before: dict[str, Any]) -> None:
    for name, value in list(vars(module).items()):
        if name in _OWN:
            continue
        if type(value) is dict:
            # a dictionary that took the place of the one before is looked through as well
            for key in [k for k, x in value.items() if k not in entries.get(name, ()) and isinstance(x, Tensor)]:
                del value[key]
        elif isinstance(value, Tensor) and value.requires_grad and not value.is_leaf and before.get(name) is not value:
            if name in before:
                setattr(module, name, before[name])
            else:
                delattr(module, name)
