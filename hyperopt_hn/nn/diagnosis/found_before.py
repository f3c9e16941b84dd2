"""What a run found out about a model's layers in its first step, to be known again when it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from hyperopt_hn.nn.context import HyperLayer, anywhere, hyper_layers
from hyperopt_hn.nn.conversion.binding import fed_along, silence
from hyperopt_hn.nn.conversion.converter import leave, report
from hyperopt_hn.nn.diagnosis.made_plain import parameters_made_plain


def found_of(model: nn.Module) -> dict[str, Any]:
    """Plain data: where each layer's batch is, which layers and parameters were made plain, and why."""
    layers = {
        name: {
            "batch_dim": layer.home.batch_dim,
            "alone": layer.home.alone,
            "plain": bool(layer.num_hyper) and not layer.home.responds,
            "off": sorted(vars(layer).get("response_off", ())) if anywhere(layer) else [],
        }
        for name, layer in hyper_layers(model)
    }
    return {"layers": layers, "left": dict(report(model).left)}


def put_back(model: nn.Module, found: Mapping[str, Any]) -> None:
    """Tell a model that was just converted what `found_of` says of it; a state of an earlier version says nothing."""
    known = set(report(model).left)
    each = [(layer, found.get("layers", {}).get(name)) for name, layer in hyper_layers(model)]
    moved: dict[tuple[int | None, bool], list[HyperLayer]] = {}  # together, so that they go on sharing one λ
    for layer, was in each:
        if was is not None and (was["batch_dim"], was["alone"]) != (layer.home.batch_dim, layer.home.alone):
            moved.setdefault((was["batch_dim"], was["alone"]), []).append(layer)
    for where, layers in moved.items():
        fed_along(layers, *where)
    for layer, was in each:
        if was is None:
            continue
        if was["off"]:
            parameters_made_plain(layer, set(was["off"]))
        if was["plain"] and layer.home.responds:
            silence(layer)
    modules = dict(model.named_modules())
    for name, why in found.get("left", {}).items():
        owner, _, leaf = name.rpartition(".")
        if name not in known and name in modules:
            leave(model, name, why)
        elif name not in known:
            leave(model, owner, why, (name, modules[owner].get_parameter(leaf).numel()))
