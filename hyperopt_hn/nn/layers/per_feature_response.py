"""The response of a layer whose parameters are one number per feature: w(λ) = w + V h, b(λ) = b + C h.

Such a layer holds `weight`, `bias`, `response_scale` (V) and `response_shift` (C), any of them None.
h is (n,) or (B, n); F features, B batch, n tuned hyperparameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.nn.context import Scope, scope_of
from hyperopt_hn.nn.layers.affine_response import (
    joined,
    new_parameter,
    parts,
    plus,
    product,
    reset_gain,
    shared_weights,
)


def make(layer: Any, shape: tuple[int, ...] | None, bias: bool, kind: dict[str, Any]) -> None:
    """Register the parameters, uninitialised; no shape, no parameters."""
    for name, wanted in (("weight", shape is not None), ("bias", shape is not None and bias)):
        layer.register_parameter(name, nn.Parameter(torch.empty(shape or (), **kind)) if wanted else None)
    make_response(layer)


def make_response(layer: Any) -> None:
    """Register V and C beside the elementary parameters that there are, uninitialised."""
    for name, own in (("response_scale", layer.weight), ("response_shift", layer.bias)):
        wanted = own is not None and layer.num_hyper
        layer.register_parameter(name, new_parameter((own.numel(), layer.num_hyper), own) if wanted else None)


def reset(layer: Any) -> None:
    """Gain 1, offset 0; V and C by the layer's `gain`."""
    if layer.weight is not None:
        nn.init.ones_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    reset_response(layer)


def reset_response(layer: Any) -> None:
    """V and C alone."""
    for rows in (layer.response_scale, layer.response_shift):
        if rows is not None:
            reset_gain(rows, layer.gain)


def weights(layer: Any, h: Tensor) -> dict[str, Tensor]:
    """The materialised response at one h (n,): {"weight", "bias"}, those that there are."""
    out = {}
    for name, own, rows in _pairs(layer):
        if own is not None:
            out[name] = own if rows is None else own + product(h, rows).to(own.dtype).reshape(own.shape)
    return out


def one_for_all(layer: Any) -> dict[str, Tensor | None] | None:
    """{"weight", "bias"} if every row shares them: no response, h zero, or one λ; None if rows differ."""
    scope: Scope | None = scope_of(layer) if layer.response_scale is not None else None
    if scope is None or scope.h is None:
        return {"weight": layer.weight, "bias": layer.bias}
    if scope.h.dim() == 2 or scope.tangent:
        return None
    return dict(shared_weights(layer, scope, layer.weights))


def scale_and_shift(layer: Any, xhat: Tensor, lift: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """xhat ⊙ w(λ) + b(λ), example by example; first order in a linearised pass. `lift` shapes rows against xhat."""
    scope = scope_of(layer)
    assert scope.h is not None
    primal, tangent = parts(xhat, scope)
    own, moved = {}, {}
    for name, base, rows in _pairs(layer):
        if base is not None:
            own[name] = base.flatten()
            moved[name] = product(scope.h, rows)
    if not scope.tangent:
        w = lift(own["weight"] + moved["weight"], primal)
        return torch.addcmul(lift(own["bias"] + moved["bias"], primal), primal, w) if "bias" in own else primal * w
    w = lift(own["weight"], primal)
    y = torch.addcmul(lift(own["bias"], primal), primal, w) if "bias" in own else primal * w
    change = primal * lift(moved["weight"], primal)
    if "bias" in own:
        change = change + lift(moved["bias"], primal)
    return joined(y, plus(change, None if tangent is None else tangent * w))


def _pairs(layer: Any) -> tuple[tuple[str, Any, Any], tuple[str, Any, Any]]:
    return ("weight", layer.weight, layer.response_scale), ("bias", layer.bias, layer.response_shift)
