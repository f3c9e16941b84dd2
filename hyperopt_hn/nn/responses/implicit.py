"""No response: λ̂'s gradient by the implicit function theorem, -∂²L_T/∂λ∂w · H⁻¹ ∂L_V/∂w at w ≈ w*(λ̂).

Right, and stronger than a learned response, for very many penalties; blind to dropout and augmentation, whose
effect on L_T is not differentiable in λ. Sources: Larsen et al. 1996 (the formula), Lorraine et al. 2020 (Neumann).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.context import at, hyper_layers
from hyperopt_hn.nn.responses.base import Losses, Phase, Slope, evaluating
from hyperopt_hn.nn.responses.elementary import elementary_kernels
from hyperopt_hn.nn.setup.batches import Batch

Vectors = list[Tensor]


@dataclass(frozen=True)
class Implicit:
    """H⁻¹v by conjugate gradients ("cg") or by the Neumann series lr Σ (1 - lr H)ᵏ ("neumann", needs lr < 2/|H|).

    The Hessian is that of L_T on one training batch in evaluation mode, plus `damping` times the identity.
    """

    method: Literal["cg", "neumann"] = "cg"
    terms: int = 20
    lr: float = 0.1
    damping: float = 0.0
    tolerance: float = 1e-12
    phases: tuple[Phase, ...] = (Phase("all", perturbed=False),)
    needs_train_batch: bool = True
    fed: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.method not in ("cg", "neumann"):
            raise UserError(f"method={self.method!r} is unknown; take 'cg' or 'neumann'")
        if self.terms < 1 or self.lr <= 0 or self.damping < 0:
            raise UserError("the implicit estimator needs terms of at least 1, lr above 0 and damping of at least 0")

    def view(self, losses: Losses, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """The elementary model: a plain one, or a converted one with its response off."""
        if next(hyper_layers(losses.bare), None) is None:
            return nullcontext()
        centre = lam.detach()
        return at(losses.bare, centre, centre, values=losses.fixed)

    def input(self, losses: Losses, lam: Tensor) -> Tensor:
        """Zero: there is no response."""
        return torch.zeros_like(lam)

    def unmoved(self, losses: Losses, lam: Tensor) -> AbstractContextManager[object]:
        """The same: there is no response to hold."""
        return self.view(losses, lam, False)

    def tune(self, losses: Losses, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V and -∂²L_T/∂λ∂w H⁻¹ ∂L_V/∂w; one Hessian product per term."""
        w = [p for p in losses.bare.parameters() if p.requires_grad]
        with self.view(losses, lam, False), evaluating(losses.bare):
            with elementary_kernels(losses.bare):
                loss = losses.valid_loss(batches[0])
                inner = losses.train_loss(batches[1], lam, keep=True)
            outer = _averaged(_grad(loss, w))
            slopes = _grad(inner, w, create=True)
            v = self._solve(lambda u: _averaged(_product(slopes, w, u)), outer)
            mixed = sum((g * u).sum() for g, u in zip(slopes, v, strict=True) if g.requires_grad)
        if not isinstance(mixed, Tensor) or not mixed.requires_grad:
            return loss.detach(), None
        (grad,) = torch.autograd.grad(mixed, lam, allow_unused=True)
        return loss.detach(), None if grad is None else -grad

    def _solve(self, hessian: Callable[[Vectors], Vectors], b: Vectors) -> Vectors:
        def damped(u: Vectors) -> Vectors:
            return [h + self.damping * x for h, x in zip(hessian(u), u, strict=True)]

        return self._neumann(damped, b) if self.method == "neumann" else self._cg(damped, b)

    def _neumann(self, hessian: Callable[[Vectors], Vectors], b: Vectors) -> Vectors:
        term, total = b, b
        for _ in range(self.terms - 1):
            term = [t - self.lr * h for t, h in zip(term, hessian(term), strict=True)]
            total = [s + t for s, t in zip(total, term, strict=True)]
        return [self.lr * s for s in total]

    def _cg(self, hessian: Callable[[Vectors], Vectors], b: Vectors) -> Vectors:
        x, r, p = [torch.zeros_like(t) for t in b], b, b
        size = start = _dot(r, r)
        for _ in range(self.terms):
            if not bool(size > self.tolerance**2 * start):
                break
            q = hessian(p)
            curvature = _dot(p, q)
            if not bool(curvature > 0):  # not convex here: what was found so far is a descent direction
                return x if bool(_dot(x, x) > 0) else b
            step = size / curvature
            x = [a + step * c for a, c in zip(x, p, strict=True)]
            r = [a - step * c for a, c in zip(r, q, strict=True)]
            size, old = _dot(r, r), size
            p = [a + (size / old) * c for a, c in zip(r, p, strict=True)]
        return x


def _grad(loss: Tensor, w: Sequence[Tensor], create: bool = False) -> Vectors:
    if not loss.requires_grad:
        return [torch.zeros_like(p) for p in w]
    grads = torch.autograd.grad(loss, w, create_graph=create, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(grads, w, strict=True)]


def _product(slopes: Vectors, w: Sequence[Tensor], u: Vectors) -> Vectors:
    live = [(g, x) for g, x in zip(slopes, u, strict=True) if g.requires_grad]
    out = torch.autograd.grad(
        [g for g, _ in live], w, [x for _, x in live], retain_graph=True, allow_unused=True
    )  # fmt: skip
    return [torch.zeros_like(p) if h is None else h for h, p in zip(out, w, strict=True)]


def _averaged(tensors: Vectors) -> Vectors:
    distributed.average_(tensors)  # the Hessian of the global batch, the same solution on every rank
    return tensors


def _dot(a: Vectors, b: Vectors) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()
