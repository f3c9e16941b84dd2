"""Cross entropy of a linear decoder over a large vocabulary, a chunk of rows at a time, so that memory stays flat.

    N rows (time by batch)   D hidden units   V words

The gradients are computed together with the loss: the logits of a chunk exist once, and never those of all rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 1 << 23
"""Logits in a chunk, 32 MB in float32: with a quarter of them a step took a tenth longer, with more nothing less."""


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
        x, w, b = hidden.to(dtype), weight.to(dtype), bias.to(dtype)
        dx = torch.empty_like(hidden) if for_hidden else None
        dw = torch.zeros_like(weight, dtype=wide) if for_weight else None
        db = torch.zeros_like(bias, dtype=wide) if for_bias else None
        total = torch.zeros((), dtype=wide, device=hidden.device)
        step = max(1, chunk // len(w))
        for start in range(0, len(x), step):
            here, right = x[start : start + step], targets[start : start + step, None]
            logs = torch.addmm(b, here, w.t()).to(wide).log_softmax(1)
            total -= logs.gather(1, right).sum()
            if dx is None and dw is None and db is None:
                continue
            slope = logs.exp_().scatter_add_(1, right, logs.new_full((), -1.0).expand_as(right))
            narrow = slope.to(dtype)
            if dx is not None:
                dx[start : start + step] = narrow @ w
            if dw is not None:
                dw += narrow.t() @ here
            if db is not None:
                db += slope.sum(0)
        ctx.rows = len(x)
        ctx.grads = tuple(None if d is None else d.to(p.dtype) for d, p in ((dx, hidden), (dw, weight), (db, bias)))
        return total / len(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scale = grad / ctx.rows
        return (*(None if d is None else d * scale.to(d.dtype) for d in ctx.grads), None, None)
