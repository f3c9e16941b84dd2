"""The two ways in which an attention layer runs: by torch's own function with given weights, and by hand.

L target length, S source length, B batch, E embedding; a layer here has nn.MultiheadAttention's attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Scope, value_of
from hyperopt_hn.nn.layers.affine_response import align
from hyperopt_hn.nn.layers.attention.attention_scores import Masks, attend

PACKED = ("in_proj_weight",)
SEPARATE = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
"""torch's names of the query, key and value projections: one matrix, or three where their widths differ."""


class Given(NamedTuple):
    """What nn.MultiheadAttention.forward takes, in its order."""

    query: Tensor
    key: Tensor
    value: Tensor
    padding: Tensor | None
    need_weights: bool
    mask: Tensor | None
    average: bool
    causal: bool


class AttentionForward(nn.Module):
    """The call of nn.MultiheadAttention, handed over as one: a layer gives `attended`."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As nn.MultiheadAttention: (L, B, E), or (B, L, E) if batch_first -> the same and (B, L, S) or None."""
        return self.attended(
            Given(query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
        )

    def attended(self, given: Given) -> tuple[Tensor, Tensor | None]:
        """The answer to a call."""
        raise NotImplementedError


def responding(layer: Any, given: Given, scope: Scope | None) -> tuple[Tensor, Tensor | None]:
    """The layer's forward: by torch where `layer.merged` gives one set of weights, else by `layer.projected`."""
    rate = 0.0 if not layer.training else layer.dropout
    if layer.training and layer.dropout_name is not None:
        rate = value_of(layer, layer.dropout_name)
    query, key, value = given[:3]
    turn = layer.batch_first and query.dim() == 3
    if turn and same(given[:3]):  # torch multiplies once if all three are one object
        query = key = value = query.transpose(0, 1)
    elif turn:
        shared = key is value  # of which torch makes one product, too
        query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        value = key if shared else value
    qkv, masks = (query, key, value), Masks(given.padding, given.mask, given.causal)
    lone = query.dim() == 2
    if lone and (isinstance(rate, Tensor) or (scope is not None and scope.h is not None and scope.h.dim() == 2)):
        raise UserError("one λ per example needs queries with a batch dimension; give λ as (n,) for one sequence")
    own = None if isinstance(rate, Tensor) else layer.merged(scope, lone)
    if own is not None:
        out, weights = by_torch(layer, own, qkv, masks, rate, given.need_weights)
    else:
        whole = given.need_weights or (scope is not None and scope.tangent)  # fused kernels have no tangent
        out, weights = by_hand(layer, layer.projected(_laid_out(qkv) if turn else qkv, scope), masks, rate, whole)
        out = _out(layer, out)
    if not given.need_weights or weights is None:
        weights = None
    elif given.average:
        weights = weights.mean(-3)
    return (out.transpose(0, 1) if turn else out), weights


def _laid_out(qkv: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Contiguous: one product of all rows instead of one for each place (a half of the projections' time)."""
    if same(qkv):
        return (qkv[0].contiguous(),) * 3
    return tuple(x.contiguous() for x in qkv)


def names_of(layer: Any) -> tuple[str, ...]:
    """The names of a layer's query, key and value projections."""
    return PACKED if layer.in_proj_weight is not None else SEPARATE


def same(qkv: Sequence[Tensor]) -> bool:
    """Whether queries, keys and values are one object."""
    return qkv[0] is qkv[1] and qkv[1] is qkv[2]


def thirds(packed: Tensor | None, axis: int = 0) -> tuple[Any, ...]:
    """The parts for queries, keys and values of what is packed along an axis."""
    return (None, None, None) if packed is None else packed.chunk(3, axis)


def own_projections(layer: Any, prefix: str = "") -> tuple[Any, ...]:
    """(W, b) of queries, keys and values; with a prefix W of that name alone."""
    names = names_of(layer)
    weights = [layer.get_parameter(prefix + name) for name in names]
    apart = thirds(weights[0]) if len(weights) == 1 else tuple(weights)
    return apart if prefix else tuple(zip(apart, thirds(layer.in_proj_bias), strict=True))


def _out(layer: Any, x: Tensor) -> Tensor:
    """The output projection of (L, B, E), fed with the batch where the model has it."""
    if layer.home.batch_dim == 1:
        out: Tensor = layer.out_proj(x)
        return out
    out = layer.out_proj(x.transpose(0, 1))
    return out.transpose(0, 1)


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
