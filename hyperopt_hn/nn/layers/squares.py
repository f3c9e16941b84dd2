"""|W(λ)|² of one weight as a quadratic form in h: c + 2 b·h + h G h, one pass over W and its response.

n tuned hyperparameters; b (n,), G (n, n). With one number per example, B of them then cost B n² more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperopt_hn.nn.layers.low_rank import LowRank


@dataclass(frozen=True)
class Quadratic:
    """c (), b (n,), G (n, n)."""

    constant: Tensor
    linear: Tensor
    gram: Tensor

    def __add__(self, other: Quadratic) -> Quadratic:
        return Quadratic(self.constant + other.constant, self.linear + other.linear, self.gram + other.gram)

    def at(self, h: Tensor) -> Tensor:
        """(), or (B,) for h (B, n)."""
        return self.constant + 2 * h @ self.linear.to(h.dtype) + ((h @ self.gram.to(h.dtype)) * h).sum(-1)


def plain(weight: Tensor) -> Tensor:
    """Σ w², ()."""
    norm: Tensor = _Rows.apply(_matrix(weight, 0)).sum()
    return norm


def full(weight: Tensor, response: Tensor, gain: Tensor, axis: int = 0) -> Quadratic:
    """W + diag(V h) R, the diagonal along dimension `axis` of both."""
    own, cross, square = _Products.apply(_matrix(weight, axis), _matrix(response, axis))
    v = _wide(gain)
    return Quadratic(own, cross @ v, v.t() @ (square.unsqueeze(1) * v))


def gated(weight: Tensor, scale: Tensor, axis: int = 0) -> Quadratic:
    """diag(1 + S h) W, the diagonal along dimension `axis` of W."""
    rows, s = _Rows.apply(_matrix(weight, axis)), _wide(scale)
    moved = rows.unsqueeze(1) * s
    return Quadratic(rows.sum(), moved.sum(0), s.t() @ moved)


def low_rank(weight: Tensor, part: LowRank) -> Quadratic:
    """W + U diag(V h) Z."""
    own, cross, gram = _LowRank.apply(_matrix(weight, 0), _wide(part.outer), _matrix(part.inner, 0))
    v = _wide(part.gain)
    return Quadratic(own, cross @ v, v.t() @ gram @ v)


class _Rows(torch.autograd.Function):
    """Squared norms of the rows of a matrix; one pass each way, twice differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor) -> Tensor:
        ctx.save_for_backward(w)
        return torch.linalg.vector_norm(w, dim=1).square()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (w,) = ctx.saved_tensors
        return w * (2 * grad).unsqueeze(1)


class _Products(torch.autograd.Function):
    """|W|², ⟨w_i, r_i⟩ and |r_i|² of the rows of two matrices; twice differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(w, r)
        own, square = (torch.linalg.vector_norm(x, dim=1).square() for x in (w, r))
        return own.sum(), torch.linalg.vecdot(w, r), square

    @staticmethod
    def backward(ctx: Any, own: Tensor, cross: Tensor, square: Tensor) -> tuple[Tensor | None, Tensor | None]:
        w, r = ctx.saved_tensors
        across = cross.unsqueeze(1)
        dw = torch.addcmul(w * (2 * own), across, r) if ctx.needs_input_grad[0] else None
        dr = torch.addcmul(r * (2 * square).unsqueeze(1), across, w) if ctx.needs_input_grad[1] else None
        return dw, dr


class _LowRank(torch.autograd.Function):
    """|W|², u_k·W z_k and the products of u_k z_kᵀ with each other; W multiplied once each way; once differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, u: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        across, uu, zz = (z @ w.t()).t(), u.t() @ u, z @ z.t()  # W Zᵀ itself takes twice the time
        ctx.save_for_backward(w, u, z, across, uu, zz)
        return torch.linalg.vector_norm(w, dim=1).square().sum(), (u * across).sum(0), uu * zz

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, own: Tensor, cross: Tensor, gram: Tensor) -> tuple[Tensor | None, ...]:
        w, u, z, across, uu, zz = ctx.saved_tensors
        both = gram + gram.t()
        dw = torch.addmm(w * (2 * own), u * cross, z) if ctx.needs_input_grad[0] else None
        du = torch.addmm(across * cross, u, both * zz) if ctx.needs_input_grad[1] else None
        dz = torch.addmm((u * cross).t() @ w, both * uu, z) if ctx.needs_input_grad[2] else None
        return dw, du, dz


def _matrix(weight: Tensor, axis: int) -> Tensor:
    """Dimension `axis` as rows, all others as columns, in float32 or float64."""
    return _wide(weight.movedim(axis, 0).flatten(1))


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
