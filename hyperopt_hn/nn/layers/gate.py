"""The gate: W(λ) = diag(1 + S h) W and b(λ) = (1 + S h) ⊙ b + T h, on a layer's output, with no second matrix.

MacKay et al. 2019, sec. 3.1, derive a best response that gates units; here the gated units are the layer's own.
h is the response input, (n,) or (B, n); a layer holds S as `response_scale` and, where it has a bias, T as
`response_shift`, both (out, n). B batch, n tuned hyperparameters.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hyperopt_hn.nn.context import Home, Scope
from hyperopt_hn.nn.layers.affine_response import joined, new_parameter, parts, product
from hyperopt_hn.nn.layers.stillness import no_way_back

Lift = Callable[[Tensor, Tensor, Home], Tensor]


def register(layer: nn.Module, suffix: str, rows: dict[str, int], n: int, like: Tensor) -> None:
    """Give the layer `response_<name><suffix>` (rows, n) for each name, uninitialised; no rows, None."""
    for name, count in rows.items():
        layer.register_parameter(f"response_{name}{suffix}", new_parameter((count, n), like) if count else None)


def opened(y: Tensor, rows: tuple[Tensor, Tensor | None], call: tuple[Scope, Home], lift: Lift) -> Tensor:
    """(1 + S h) ⊙ y + T h, example by example; its tangent at h = 0 in a linearised pass. `rows` are S and T."""
    scope, home = call
    primal, moved = parts(y, scope)
    h, (scale, shift) = scope.h, rows
    assert h is not None
    s = lift(product(h, scale), primal, home)
    t = None if shift is None else lift(product(h, shift), primal, home)
    if scope.zero and not scope.tangent:  # the numbers stay
        still = no_way_back(primal)
        return primal + (s * still if t is None else torch.addcmul(t, s, still))
    if not scope.tangent:
        return primal * (1 + s) if t is None else torch.addcmul(t, primal, 1 + s)
    change = primal * s if t is None else torch.addcmul(t, primal, s)
    return joined(primal, change if moved is None else moved + change)


def scaled(weight: Tensor, s: Tensor, axis: int = 0) -> Tensor:
    """(1 + s) W along one dimension of W, in W's precision: the weights at one h."""
    shape = [1] * weight.dim()
    shape[axis] = -1
    return weight * (1 + s).to(weight.dtype).reshape(shape)


def shifted(y: Tensor, shift: Tensor, call: tuple[Scope, Home], lift: Lift) -> Tensor:
    """y + T h, example by example; its tangent in a linearised pass."""
    scope, home = call
    primal, moved = parts(y, scope)
    assert scope.h is not None
    t = lift(product(scope.h, shift), primal, home)
    if not scope.tangent:
        return primal + t
    return joined(primal, t.expand_as(primal) if moved is None else moved + t)
