"""The two ways in which an attention layer runs: by torch's own function with given weights, and by hand.

L target length, S source length, B batch, E embedding; a layer here has nn.MultiheadAttention's attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperopt_hn.nn.layers.affine_response import align
from hyperopt_hn.nn.layers.attention_scores import Masks, attend

PACKED = ("in_proj_weight",)
SEPARATE = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
"""torch's names of the query, key and value projections: one matrix, or three where their widths differ."""


def by_torch(
    layer: Any, own: Mapping[str, Any], qkv: tuple[Tensor, ...], masks: Masks, rate: float, need_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """torch's own attention with the weights `own`, one set for the whole batch: (L, B, E) and the weights."""
    query, key, value = qkv
    out: tuple[Tensor, Tensor | None] = F.multi_head_attention_forward(
        query,
        key,
        value,
        layer.embed_dim,
        layer.num_heads,
        own.get("in_proj_weight"),
        own.get("in_proj_bias"),
        layer.bias_k,
        layer.bias_v,
        layer.add_zero_attn,
        rate,
        own["out_proj.weight"],
        own.get("out_proj.bias"),
        layer.training,
        masks.padding,
        need_weights,
        masks.attention,
        "in_proj_weight" not in own,
        own.get("q_proj_weight"),
        own.get("k_proj_weight"),
        own.get("v_proj_weight"),
        average_attn_weights=False,
        is_causal=masks.causal,
    )
    return out


def by_hand(layer: Any, qkv: tuple[Tensor, ...], masks: Masks, rate: Any, whole: bool) -> tuple[Tensor, Tensor | None]:
    """Attention of projected q (L, B, E), k and v (S, B, E), before the output projection; weights if `whole`.

    `rate` is the dropout of the weights: a number, () or (B,).
    """
    q, k, v = qkv
    if layer.bias_k is not None and layer.bias_v is not None:
        k = torch.cat([k, layer.bias_k.expand(1, k.shape[1], -1).to(k.dtype)])
        v = torch.cat([v, layer.bias_v.expand(1, v.shape[1], -1).to(v.dtype)])
    if isinstance(rate, Tensor) and rate.dim():
        rate = align(rate, q.shape[1], layer.home)
    return attend((q, k, v), layer.num_heads, masks, rate, whole, layer.add_zero_attn)
