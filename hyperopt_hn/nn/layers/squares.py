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
    return Quadratic(*_Full.apply(_matrix(weight, axis), _matrix(response, axis), _wide(gain)))


def gated(weight: Tensor, scale: Tensor, axis: int = 0) -> Quadratic:
    """diag(1 + S h) W, the diagonal along dimension `axis` of W."""
    return Quadratic(*_Gated.apply(_matrix(weight, axis), _wide(scale)))


def low_rank(weight: Tensor, part: LowRank) -> Quadratic:
    """W + U diag(V h) Z."""
    matrices = _matrix(weight, 0), _wide(part.outer), _matrix(part.inner, 0), _wide(part.gain)
    return Quadratic(*_LowRank.apply(*matrices))


class _Rows(torch.autograd.Function):
    """Squared norms of the rows of a matrix; one pass each way, twice differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor) -> Tensor:
        ctx.save_for_backward(w)
        return _rows(w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (w,) = ctx.saved_tensors
        return w * (2 * grad).unsqueeze(1)


class _Full(torch.autograd.Function):
    """c = |W|², b = Vᵀ ⟨w_i, r_i⟩, G = Vᵀ diag(|r_i|²) V; one pass each way over both matrices, once differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, r: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cross, square = torch.linalg.vecdot(w, r), _rows(r)
        ctx.save_for_backward(w, r, v, cross, square)
        return _rows(w).sum(), cross @ v, v.t() @ (square.unsqueeze(1) * v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, own: Tensor, linear: Tensor, gram: Tensor) -> tuple[Tensor | None, ...]:
        (w, r, v, cross, square), need = ctx.saved_tensors, ctx.needs_input_grad
        both, across = gram + gram.t(), (v @ linear).unsqueeze(1)
        within = ((v @ both) * v).sum(1, keepdim=True)  # 2 v_iᵀ dG v_i
        dw = torch.addcmul(w * (2 * own), across, r) if need[0] else None
        dr = torch.addcmul(r * within, across, w) if need[1] else None
        dv = torch.addcmul(torch.outer(cross, linear), square.unsqueeze(1), v @ both) if need[2] else None
        return dw, dr, dv


class _Gated(torch.autograd.Function):
    """c = |W|², b = Sᵀ |w_i|², G = Sᵀ diag(|w_i|²) S; one pass each way, once differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = _rows(w)
        ctx.save_for_backward(w, s, rows)
        return rows.sum(), rows @ s, s.t() @ (rows.unsqueeze(1) * s)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, own: Tensor, linear: Tensor, gram: Tensor) -> tuple[Tensor | None, ...]:
        (w, s, rows), need = ctx.saved_tensors, ctx.needs_input_grad
        moved = s @ (gram + gram.t())
        ds = rows.unsqueeze(1) * (moved + linear) if need[1] else None
        return w * (2 * (own + s @ linear) + (moved * s).sum(1)).unsqueeze(1) if need[0] else None, ds


class _LowRank(torch.autograd.Function):
    """c = |W|², b = Vᵀ (u_k·W z_k), G = Vᵀ (UᵀU ∘ ZZᵀ) V; W multiplied once each way, once differentiable."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, u: Tensor, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        across, uu, zz = (z @ w.t()).t(), u.t() @ u, z @ z.t()  # W Zᵀ itself takes twice the time
        cross, inner = (u * across).sum(0), (uu * zz) @ v
        ctx.save_for_backward(w, u, z, v, across, uu, zz)
        return _rows(w).sum(), cross @ v, v.t() @ inner

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, own: Tensor, linear: Tensor, gram: Tensor) -> tuple[Tensor | None, ...]:
        (w, u, z, v, across, uu, zz), need = ctx.saved_tensors, ctx.needs_input_grad
        cross = v @ linear
        moved = v @ (gram + gram.t())
        both = moved @ v.t()  # the gradient of UᵀU ∘ ZZᵀ and its transpose together
        dw = torch.addmm(w * (2 * own), u * cross, z) if need[0] else None
        du = torch.addmm(across * cross, u, both * zz) if need[1] else None
        dz = torch.addmm((u * cross).t() @ w, both * uu, z) if need[2] else None
        dv = torch.addmm(torch.outer((u * across).sum(0), linear), uu * zz, moved) if need[3] else None
        return dw, du, dz, dv


def _rows(w: Tensor) -> Tensor:
    return torch.linalg.vector_norm(w, dim=1).square()


def _matrix(weight: Tensor, axis: int) -> Tensor:
    """Dimension `axis` as rows, all others as columns, in float32 or float64."""
    return _wide(weight.movedim(axis, 0).flatten(1))


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
