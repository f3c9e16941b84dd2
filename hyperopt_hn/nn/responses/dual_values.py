"""From dual numbers to first-order values, y + ẏ, wherever a model has put them: outputs of any kind, attributes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.distributions import Distribution

_TORCHS = frozenset(vars(nn.Module()))
"""Attributes that every module has: its parameters, children, hooks."""


def first_order(value: Any) -> Any:
    """The value with y + ẏ for every dual number in it; itself where it holds none. Call inside the dual level."""
    return _Changes(anything=True).of(value)


def first_order_attributes(model: nn.Module) -> None:
    """The same, in place, in what the model's modules keep as attributes: an auxiliary loss, a list of activations."""
    changes = _Changes(anything=False)
    for module in model.modules():
        for name in vars(module).keys() - _TORCHS:
            value = vars(module)[name]
            new = changes.of(value)
            if new is not value:
                vars(module)[name] = new


class _Changes:
    """What values become, each once. `anything`: objects of all classes, not dataclasses and distributions alone."""

    def __init__(self, anything: bool) -> None:
        self.anything = anything
        self._made: dict[int, tuple[Any, Any]] = {}  # the value too, so that its id stays its own

    def of(self, value: Any) -> Any:
        """The value itself where nothing in it moves."""
        if id(value) not in self._made:
            self._made[id(value)] = value, value  # until it is known: one that holds itself
            self._made[id(value)] = value, self._new(value)
        return self._made[id(value)][1]

    def _new(self, value: Any) -> Any:
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            dual = forward_ad.unpack_dual(value)
            return value if dual.tangent is None else dual.primal + dual.tangent
        if isinstance(value, (nn.Module, nn.Parameter, type)):
            return value
        if isinstance(value, (list, tuple, Mapping)):
            return self._container(value)
        if self.anything or is_dataclass(value) or isinstance(value, Distribution):
            return self._object(value)
        return value

    def _container(self, value: Any) -> Any:
        keys = list(value) if isinstance(value, Mapping) else range(len(value))
        parts = [self.of(value[key]) for key in keys]
        if all(part is value[key] for key, part in zip(keys, parts, strict=True)):
            return value
        if isinstance(value, tuple):
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        made = copy.copy(value)
        for key, part in zip(keys, parts, strict=True):
            made[key] = part
        return made

    def _object(self, value: Any) -> Any:
        slots = [x for kind in type(value).__mro__ for x in getattr(kind, "__slots__", ()) if hasattr(value, x)]
        held = {**getattr(value, "__dict__", {}), **{name: getattr(value, name) for name in slots}}
        new = {name: self.of(part) for name, part in held.items()}
        if all(new[name] is held[name] for name in held):
            return value
        made = copy.copy(value)
        for name, part in new.items():
            object.__setattr__(made, name, part)  # a frozen dataclass too
        return made
