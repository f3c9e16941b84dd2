"""Scaled dot-product attention with dropout at a rate per example, where torch's own takes one number.

L target length, S source length, B batch, N heads, E = N·D embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperopt_hn.nn.layers.masks import keep_mask


@dataclass(frozen=True)
class Masks:
    """nn.MultiheadAttention's: padding (B, S) and attention (L, S) or (B·N, L, S), boolean (True: hidden) or added."""

    padding: Tensor | None
    attention: Tensor | None
    causal: bool

    def added(self, heads: int, batch: int, extra: int, dtype: torch.dtype) -> Tensor | None:
        """What to add to the scores, broadcasting against (B, N, L, S + extra); None for nothing."""
        if self.causal and self.attention is None:
            raise ValueError("is_causal is only a hint: give the attn_mask too, as for nn.MultiheadAttention")
        total = None
        if self.attention is not None:
            mask = _number(self.attention, dtype)
            total = mask if mask.dim() == 2 else mask.reshape(batch, heads, *mask.shape[1:])
        if self.padding is not None:
            padding = _number(self.padding, dtype)[:, None, None, :]
            total = padding if total is None else total + padding
        return total if total is None or not extra else F.pad(total, (0, extra))


def attend(
    qkv: tuple[Tensor, ...], heads: int, masks: Masks, rate: Any, whole: bool, add_zero: bool
) -> tuple[Tensor, Tensor | None]:
    """Projected q (L, B, E), k and v (S, B, E) -> (L, B, E) and, if `whole`, the weights (B, N, L, S).

    `rate` is the dropout of the weights: a number, () or (B,).
    """
    source = qkv[1].shape[0] if masks.padding is None else masks.padding.shape[1]
    q, k, v = (x.unflatten(2, (heads, -1)).permute(1, 2, 0, 3) for x in qkv)  # (B, N, L or S, D)
    if add_zero:
        k, v = (torch.cat([x, torch.zeros_like(x[:, :, :1])], 2) for x in (k, v))
    if masks.attention is not None:
        source = masks.attention.shape[-1]
    mask = masks.added(heads, q.shape[0], k.shape[2] - source, q.dtype)
    if not whole and not isinstance(rate, Tensor):
        out = F.scaled_dot_product_attention(q, k, v, mask, rate)
        return out.permute(2, 0, 1, 3).flatten(2), None
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    weights = torch.softmax(scores, -1) if mask is None else _seeing(scores + mask)
    if isinstance(rate, Tensor) or rate > 0:
        shaped = rate.reshape(-1, 1, 1, 1) if isinstance(rate, Tensor) and rate.dim() else rate
        weights = weights * keep_mask(tuple(weights.shape), shaped, weights)
    return (weights @ v).permute(2, 0, 1, 3).flatten(2), weights


def _seeing(scores: Tensor) -> Tensor:
    """The softmax; zero, as in torch's fused kernels, for a row that may see nothing."""
    hidden = (scores == -math.inf).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(hidden, 0.0), -1).masked_fill(hidden, 0.0)


def _number(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(mask, -math.inf)
    return mask.to(dtype)
