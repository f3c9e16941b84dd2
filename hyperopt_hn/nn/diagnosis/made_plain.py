"""Layers that turn out not to respond are made plain again, whole ties at once, and the report says why."""

from __future__ import annotations

from typing import Any

from torch import nn

from hyperopt_hn.nn.context import named_own
from hyperopt_hn.nn.conversion.binding import silence
from hyperopt_hn.nn.conversion.converter import leave
from hyperopt_hn.nn.diagnosis.calls import responding
from hyperopt_hn.nn.layers.by_parameter.movement import moving


def make_plain(model: nn.Module, ids: set[int], reason: str) -> list[str]:
    """Make plain the layers that hold one of these parameters, or one of a layer that does; their names."""
    names: list[str] = []
    layers = responding(model)
    while True:
        hit = [(n, x) for n, x in layers if n not in names and ids & {id(p) for _, p in named_own(x)}]
        if not hit:
            return names
        for name, layer in hit:
            names.append(name)
            ids = ids | {id(p) for _, p in named_own(layer)}
            silence(layer)
            leave(model, name, reason)


def parameters_made_plain(layer: Any, names: set[str]) -> None:
    """Of a layer whose own parameters respond by themselves, let these do so no more."""
    for one in list(moving(layer)):
        if one.name in names:
            one.response.requires_grad_(False)
            nn.init.zeros_(one.response)
    vars(layer)["response_off"] |= names


def few(names: list[str]) -> str:
    """The first three names, and how many more there are."""
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
