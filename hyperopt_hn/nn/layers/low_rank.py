"""The low-rank response: W(λ) = W + U diag(V h) Z and b(λ) = b + T h, per example, without building W(λ).

h is the response input, (n,) or (B, n). A layer holds U as `response_outer` (out, k), V as `response_gain` (k, n),
Z as `response_inner` (k, ...) and, where it has a bias, T as `response_shift` (out, n), each with a suffix where it
has several weights. B batch, n tuned hyperparameters, k rank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, Scope
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    joined,
    new_parameter,
    parts,
    product,
    reset_gain,
    reset_uniform,
)
from hyperopt_hn.nn.layers.stillness import no_way_back

RANK, FILTERS, LEAST, SHARE, SMALL = 32, 16, 8, 0.05, 2**14
"""The rank without a setting: what takes SHARE of a weight's size, within LEAST and RANK (a convolution: FILTERS);
RANK for matrices of up to SMALL weights.

On small networks rank 32 reaches the full response's quality, 8 not quite (excess validation loss .008, .008, .013)."""

Lift = Callable[[Tensor, Tensor, Home], Tensor]


@dataclass(frozen=True)
class LowRank:
    """U (out, k), V (k, n), Z (k, ...) and T (out, n), None without a bias."""

    outer: Tensor
    gain: Tensor
    inner: Tensor
    shift: Tensor | None

    def matrix(self, h: Tensor) -> Tensor:
        """U diag(V h) Z at one h (n,): (out, fan in)."""
        scaled = self.outer * product(h, self.gain).to(self.outer.dtype)
        return scaled @ self.inner.flatten(1)


def rank_of(rank: int | None, rows: int, columns: int, n: int, matrix: bool = True) -> int:
    """The rank of the response of a weight (rows, columns): the one given, or by size; at most what n directions use.

    Raises UserError for a rank below 1.
    """
    if rank is not None and rank < 1:
        raise UserError(f"rank={rank} leaves no response; give 1 or more, or None for a rank by the layer's size")
    fitting = int(SHARE * rows * columns / (rows + columns))
    least, most = RANK if rows * columns <= SMALL and matrix else LEAST, RANK if matrix else FILTERS
    wanted = min(max(fitting, least, n), most) if rank is None else rank
    return min(wanted, n * min(rows, columns))


def register(layer: nn.Module, suffix: str, rows: int, inner: tuple[int, ...], like: Tensor, bias: bool) -> None:
    """Give the layer U, V, Z, and T if `bias`, uninitialised; `inner` is the shape of one row of Z."""
    owner: Any = layer
    columns = torch.Size(inner).numel()
    rank, n = rank_of(owner.rank, rows, columns, owner.num_hyper, len(inner) == 1), owner.num_hyper
    shapes = {"outer": (rows, rank), "gain": (rank, n), "inner": (rank, *inner), "shift": (rows, n) if bias else None}
    for name, shape in shapes.items():
        made = None if shape is None else new_parameter(shape, like)
        layer.register_parameter(f"response_{name}{suffix}", made)


def part_of(layer: nn.Module, suffix: str = "") -> LowRank:
    """The parts that `register` gave to the layer."""
    own = layer._parameters
    outer, gain, inner = (own[f"response_{name}{suffix}"] for name in ("outer", "gain", "inner"))
    assert outer is not None and gain is not None and inner is not None
    return LowRank(outer, gain, inner, own[f"response_shift{suffix}"])


def reset(part: LowRank, gain: Gain) -> None:
    """Z as torch starts weights, one direction after the other for each hyperparameter in V; U and T by `gain`."""
    reset_uniform(part.inner, part.inner[0].numel())
    reset_directions(part.gain)
    for zero in (part.outer, part.shift):
        if zero is not None:
            reset_gain(zero, gain)


@torch.no_grad()
def reset_directions(gain: Tensor) -> None:
    """V = 0 but for ones, so that each direction follows one hyperparameter and each hyperparameter has one."""
    gain.zero_()
    rank, n = gain.shape
    for i in range(max(rank, n)):
        gain[i % rank, i % n] = 1.0


def inner_product(x: Tensor, inner: Tensor) -> Tensor:
    """Z x, the directions first: (..., in) -> (k, ...), which takes half the time of (..., k) and as many gradients."""
    return (inner @ x.reshape(-1, x.shape[-1]).t()).view(-1, *x.shape[:-1])


def add_to_features(y: Tensor, z: Tensor, part: LowRank, call: tuple[Scope, Home], lift: Lift) -> Tensor:
    """y (..., F) + U (V h ⊙ z) + T h with z (k, ...) = Z x, example by example; its tangent in a linearised pass."""
    scope, home = call
    (primal, moved), z, h = parts(y, scope), _still(z, scope), scope.h
    assert h is not None
    lead = primal.shape[:-1]
    directions, outer = _directions_first(lift(product(h, part.gain), primal, home), lead) * z, part.outer.t()
    if part.shift is not None:
        further = _directions_first(lift(h, primal, home), lead).expand(-1, *lead)
        directions, outer = torch.cat([directions, further]), torch.cat([outer, part.shift.t()])
    flat, outer = directions.reshape(len(directions), -1).t(), outer.contiguous()  # so its gradient is fast as well
    if not scope.tangent:
        return torch.addmm(primal.reshape(-1, primal.shape[-1]), flat, outer).view(primal.shape)
    change = (flat @ outer).view(primal.shape)
    return joined(primal, change if moved is None else moved + change)


def _directions_first(rows: Tensor, lead: tuple[int, ...]) -> Tensor:
    """What broadcasts against (*lead, k) to what broadcasts against (k, *lead)."""
    return rows.reshape(*[1] * (len(lead) + 1 - rows.dim()), *rows.shape).movedim(-1, 0)


def add_to_channels(y: Tensor, z: Tensor, part: LowRank, groups: int, call: tuple[Scope, Home], lift: Lift) -> Tensor:
    """y (B, C, ...) + U (V h ⊙ z) + T h with z (B, groups · k, ...) = Z * x; its tangent in a linearised pass."""
    scope, home = call
    (primal, moved), z = parts(y, scope), _still(z, scope)
    assert scope.h is not None
    rows = product(scope.h, part.gain)
    directions = lift(rows.repeat(*[1] * (rows.dim() - 1), groups), z, home) * z
    change = pointwise(directions, part.outer, groups)
    if part.shift is not None:
        change = change + lift(product(scope.h, part.shift), change, home)
    if not scope.tangent:
        return primal + change
    return joined(primal, change if moved is None else moved + change)


def pointwise(z: Tensor, outer: Tensor, groups: int) -> Tensor:
    """U z at every place: (B, groups · k, ...) -> (B, C, ...)."""
    conv: Any = (F.conv1d, F.conv2d, F.conv3d)[z.dim() - 3]
    out: Tensor = conv(z, outer.reshape(*outer.shape, *[1] * (z.dim() - 2)), groups=groups)
    return out


def _still(z: Tensor, scope: Scope) -> Tensor:
    """z without its tangent, and without its history where h is zero, so that nothing flows back through it."""
    return no_way_back(z) if scope.zero and not scope.tangent else parts(z, scope)[0]
