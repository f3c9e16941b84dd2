"""HyperMultiheadAttention: nn.MultiheadAttention whose four projections respond to λ.

L target length, S source length, B batch, E embedding, n tuned hyperparameters; h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Home, Scope, scope_of
from hyperopt_hn.nn.layers import squares
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    Rows,
    lift_time,
    merged,
    new_parameter,
    product,
    reset_gain,
    reset_uniform,
    respond,
    weights_at,
)
from hyperopt_hn.nn.layers.attention.attention_calls import (
    PACKED,
    SEPARATE,
    AttentionForward,
    Given,
    own_projections,
    responding,
    same,
    thirds,
)
from hyperopt_hn.nn.layers.feedforward.linear import HyperLinear
from hyperopt_hn.nn.layers.plain import Around


class HyperMultiheadAttention(AttentionForward, Around):
    """nn.MultiheadAttention with a response scalar for every output of its query, key, value and output projections.

    Elementary parameters have torch's names; `bias_k` and `bias_v` do not respond. `dropout_name` names a
    hyperparameter for the dropout of attention weights, each example at its own rate. Without tuned hyperparameters,
    and where all examples share λ, torch's own attention runs with the weights at λ.
    """

    plain_class = nn.MultiheadAttention
    in_proj_weight: nn.Parameter
    in_proj_bias: nn.Parameter | None
    bias_k: nn.Parameter | None
    bias_v: nn.Parameter | None
    response_in_proj_weight: nn.Parameter
    response_bias: nn.Parameter
    response_scale: nn.Parameter
    response_shift: nn.Parameter

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_hyper: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        super().__init__()
        shape = nn.MultiheadAttention(
            embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first, "meta"
        )
        self.embed_dim, self.num_heads, self.num_hyper = embed_dim, num_heads, num_hyper
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self.kdim, self.vdim, self.head_dim, self.gain = shape.kdim, shape.vdim, shape.head_dim, gain
        self.dropout_name: str | None = None
        self.home = Home(None, num_hyper)
        self._names = PACKED if shape.in_proj_weight is not None else SEPARATE
        self._qkv_same_embed_dim = False  # what torch's encoder layers ask before they read the weights past us
        like = torch.empty(0, device=device, dtype=dtype)
        for name in (*PACKED, *SEPARATE, "in_proj_bias", "bias_k", "bias_v"):
            own = getattr(shape, name)
            self.register_parameter(name, None if own is None else new_parameter(tuple(own.shape), like))
        if num_hyper:
            for name in self._names:
                own = getattr(shape, name)
                self.register_parameter("response_" + name, new_parameter(tuple(own.shape), like))
            rows = (3 * embed_dim, num_hyper)
            self.register_parameter("response_scale", new_parameter(rows, like))
            self.register_parameter("response_bias", new_parameter((3 * embed_dim,), like) if bias else None)
            self.register_parameter("response_shift", new_parameter(rows, like) if bias else None)
        self.out_proj = HyperLinear(embed_dim, embed_dim, num_hyper, bias, device, dtype, gain=gain)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Elementary part as torch's: Xavier projections, zero biases. R, b_R as linear layers', V, C by `gain`."""
        for name in self._names:
            nn.init.xavier_uniform_(self.get_parameter(name))
        for own in (self.bias_k, self.bias_v):
            if own is not None:
                nn.init.xavier_normal_(own)
        self.out_proj.reset_parameters()
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            nn.init.zeros_(self.in_proj_bias)
            nn.init.zeros_(self.out_proj.bias)
        self.reset_response()

    def reset_response(self) -> None:
        """The response part alone."""
        if not self.num_hyper:
            return
        for name in self._names:
            reset_uniform(self.get_parameter("response_" + name), self.get_parameter(name).shape[1])
        reset_gain(self.response_scale, self.gain)
        if self.in_proj_bias is not None:
            reset_uniform(self.response_bias, self.embed_dim)
            reset_gain(self.response_shift, self.gain)
        self.out_proj.reset_response()

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by nn.MultiheadAttention's names."""
        scales = product(h, self.response_scale).unsqueeze(1).split(3 * self.embed_dim // len(self._names))
        out = {
            name: merged(self.get_parameter(name), s, self.get_parameter("response_" + name))
            for name, s in zip(self._names, scales, strict=True)
        }
        if self.in_proj_bias is not None:
            out["in_proj_bias"] = merged(self.in_proj_bias, product(h, self.response_shift), self.response_bias)
        if self.bias_k is not None and self.bias_v is not None:
            out |= {"bias_k": self.bias_k, "bias_v": self.bias_v}
        return out | {"out_proj." + name: w for name, w in self.out_proj.weights(h).items()}

    def attended(self, given: Given) -> tuple[Tensor, Tensor | None]:
        """By torch where one set of weights serves the batch, else example by example."""
        return responding(self, given, scope_of(self) if self.num_hyper else None)

    def merged(self, scope: Scope | None, needed: bool) -> dict[str, Any] | None:
        """One set of weights for the whole batch, if there is one."""
        own: dict[str, Any] = dict(self.named_parameters())
        if scope is None or scope.h is None:
            return own
        return None if scope.h.dim() == 2 or scope.tangent else own | weights_at(self, scope)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name; the output projection is a layer of its own."""
        gains = self.response_scale.split(3 * self.embed_dim // len(self._names))
        return {
            name: squares.full(self.get_parameter(name), self.get_parameter("response_" + name), gain)
            for name, gain in zip(self._names, gains, strict=True)
        }

    def projected(self, qkv: tuple[Tensor, ...], scope: Scope | None) -> tuple[Tensor, ...]:
        """Queries, keys and values."""
        return self._packed(qkv[0], scope) if same(qkv) and self._names == PACKED else self._apart(qkv, scope)

    def _packed(self, x: Tensor, scope: Scope | None) -> tuple[Tensor, ...]:
        bias = self.in_proj_bias
        if scope is None or scope.h is None:
            return F.linear(x, self.in_proj_weight, bias).chunk(3, -1)
        s = product(scope.h, self.response_scale)
        offset = None if bias is None else product(scope.h, self.response_shift) * self.response_bias
        rows = Rows(s, offset, lift_time, self.home, scope)
        return respond(F.linear, x, (self.in_proj_weight, bias), self.response_in_proj_weight, rows).chunk(3, -1)

    def _apart(self, qkv: tuple[Tensor, ...], scope: Scope | None) -> tuple[Tensor, ...]:
        own = own_projections(self)
        if scope is None or scope.h is None:
            return tuple(F.linear(x, *pair) for x, pair in zip(qkv, own, strict=True))
        scales = thirds(product(scope.h, self.response_scale), -1)
        shift = None if self.in_proj_bias is None else product(scope.h, self.response_shift) * self.response_bias
        rows = [Rows(s, o, lift_time, self.home, scope) for s, o in zip(scales, thirds(shift, -1), strict=True)]
        return tuple(
            respond(F.linear, x, pair, response, row)
            for x, pair, response, row in zip(qkv, own, own_projections(self, "response_"), rows, strict=True)
        )

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, num_hyper={self.num_hyper}, batch_first={self.batch_first}"
