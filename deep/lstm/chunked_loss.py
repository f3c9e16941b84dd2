"""Cross entropy of a linear decoder over a large vocabulary, a chunk of rows at a time, so that memory stays flat.

    N rows (time by batch)   D hidden units   V words

The gradients are computed together with the loss: the logits of a chunk exist once, and never those of all rows.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 1 << 23
"""Logits in a chunk at most, 32 MB in float32: with a quarter of them a step took a tenth longer, with more nothing
less."""


def cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, chunk: int = CHUNK) -> Tensor:
    """Mean of F.cross_entropy(hidden @ weight.T + bias, targets), () float32 (float64 for float64); to rounding.

    hidden (N, D), weight (V, D), bias (V,), targets (N,) int64. Under autocast products are in its dtype, sums and
    the softmax in float32. Differentiable once, in whichever of the first three want a gradient.
    """
    wanted = [torch.is_grad_enabled() and x.requires_grad for x in (hidden, weight, bias)]
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        loss: Tensor = _Chunked.apply(hidden, weight, bias, targets, (chunk, dtype, wanted))
    return loss


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, how: Any) -> Tensor:
        chunk, dtype, (for_hidden, for_weight, for_bias) = how
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        x, b, turned = hidden.to(dtype), bias.to(dtype), _turned(weight, dtype)
        dx = torch.empty_like(hidden) if for_hidden else None
        dw = torch.zeros_like(weight, dtype=wide) if for_weight else None
        db = torch.zeros_like(bias, dtype=wide) if for_bias else None
        total = torch.zeros((), dtype=wide, device=hidden.device)
        step = _even(len(x), max(1, chunk // len(weight)))
        products = x.new_empty(min(step, len(x)), len(weight))
        logits = products if dtype == wide else products.new_empty(products.shape, dtype=wide)
        for start in range(0, len(x), step):
            here, right = x[start : start + step], targets[start : start + step, None]
            narrow, odds = products[: len(here)], logits[: len(here)]
            torch.addmm(b, here, turned, out=narrow)
            if dtype != wide:
                odds.copy_(narrow)
            odds -= odds.amax(1, keepdim=True)
            total -= odds.gather(1, right).sum()
            scale = odds.exp_().sum(1, keepdim=True)
            total += scale.log().sum()
            if dx is None and dw is None and db is None:
                continue
            odds.scatter_add_(1, right, -scale)  # the logits' gradient but for a factor of each row
            scale = scale.reciprocal_()
            if dtype != wide:
                narrow.copy_(odds)
            if dx is not None:
                dx[start : start + step] = (narrow @ turned.t()).to(wide).mul_(scale)
            if dw is not None:
                _add_product(dw, narrow.t(), (here * scale).to(dtype))
            if db is not None:
                db += (odds.t() @ scale).squeeze(1)
        ctx.rows = len(x)
        ctx.grads = tuple(None if d is None else d.to(p.dtype) for d, p in ((dx, hidden), (dw, weight), (db, bias)))
        return total / len(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scale = grad / ctx.rows
        return (*(None if d is None else d * scale.to(d.dtype) for d in ctx.grads), None, None)


def _turned(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(D, V): a view in the weight's own dtype; in another one a copy row by row, as a product with it is faster."""
    if dtype == weight.dtype:
        return weight.t()
    return weight.new_empty(weight.shape[::-1], dtype=dtype).copy_(weight.t())


def _even(rows: int, most: int) -> int:
    """Rows of a chunk: as few chunks as `most` allows, all of a size."""
    return max(1, math.ceil(rows / math.ceil(rows / most))) if rows else 1


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right; of products in another dtype the sum is in the total's."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
