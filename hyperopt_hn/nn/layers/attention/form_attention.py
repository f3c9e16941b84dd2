"""nn.MultiheadAttention with a low-rank response or a gate on its four projections.

L target length, S source length, B batch, E embedding, n tuned hyperparameters; h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Scope
from hyperopt_hn.nn.layers import gate, low_rank, squares
from hyperopt_hn.nn.layers.affine_response import lift_time, merged_once, parts, product, reset_gain, with_tangent
from hyperopt_hn.nn.layers.attention.attention_calls import (
    AttentionForward,
    Given,
    names_of,
    own_projections,
    responding,
    same,
    thirds,
)
from hyperopt_hn.nn.layers.feedforward.gated_layers import GatedLinear
from hyperopt_hn.nn.layers.feedforward.low_rank_layers import LowRankLinear
from hyperopt_hn.nn.layers.in_place import InPlace, restored
from hyperopt_hn.nn.layers.low_rank import LowRank
from hyperopt_hn.nn.layers.plain import Options

Attention = TypeVar("Attention", bound="_FormAttention")


class _FormAttention(AttentionForward, InPlace, nn.MultiheadAttention):
    """What the two forms share; `bias_k` and `bias_v` do not respond.

    `dropout_name` names a hyperparameter for the dropout of attention weights, each example at its own rate. Where no
    λ differs from the centre and the rate is one number, torch's own attention runs.
    """

    projection: ClassVar[Any]
    out_proj: Any
    dropout_name: str | None = None

    @classmethod
    def from_plain(cls: type[Attention], plain: Any, options: Options) -> Attention:
        """The very layer `plain`, responding, and its output projection."""
        plain.out_proj = cls.projection.from_plain(plain.out_proj, options)
        return super().from_plain(plain, options)

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        layer: Any = restored(self)
        layer.out_proj = restored(self.out_proj)
        return layer

    def merged(self, scope: Scope | None, needed: bool) -> dict[str, Any] | None:
        """One set of weights for the whole batch, if there is one and it costs nothing, or is needed."""
        own: dict[str, Any] = dict(self.named_parameters())
        if scope is None or scope.h is None:
            return own
        both = self.weights(scope.h) if needed else merged_once(self, scope)
        return None if both is None else own | both

    def attended(self, given: Given) -> tuple[Tensor, Tensor | None]:
        """By torch where one set of weights serves the batch, else example by example."""
        scope = self.scope()
        if (scope is None or scope.h is None) and self.dropout_name is None:
            return nn.MultiheadAttention.forward(self, *given)
        return responding(self, given, scope)


class LowRankMultiheadAttention(_FormAttention):
    """W + U diag(V h) Z and b + T h in the query, key, value and output projections, per example."""

    projection = LowRankLinear

    def make_response(self) -> None:
        """U, V, Z, and T with a bias, of the packed projections or of each."""
        for name in names_of(self):
            own = self.get_parameter(name)
            low_rank.register(self, _suffix(name), own.shape[0], (own.shape[1],), own, self.in_proj_bias is not None)

    def reset_response(self) -> None:
        """The response part alone."""
        for part in self._responses():
            low_rank.reset(part, self.gain)
        self.out_proj.reset_response()

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by nn.MultiheadAttention's names."""
        out = {n: self.get_parameter(n) + p.matrix(h) for n, p in zip(names_of(self), self._responses(), strict=True)}
        shifts = [product(h, p.shift) for p in self._responses() if p.shift is not None]
        if self.in_proj_bias is not None:
            out["in_proj_bias"] = self.in_proj_bias + torch.cat(shifts).to(self.in_proj_bias.dtype)
        return out | _others(self, h)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name; the output projection is a layer of its own."""
        named = zip(names_of(self), self._responses(), strict=True)
        return {name: squares.low_rank(self.get_parameter(name), part) for name, part in named}

    def projected(self, qkv: tuple[Tensor, ...], scope: Scope | None) -> tuple[Tensor, ...]:
        """Queries, keys and values."""
        responses = self._responses()
        if len(responses) == 3 or not same(qkv):
            responses = responses if len(responses) == 3 else _split(responses[0])
            pairs = zip(qkv, own_projections(self), responses, strict=True)
            return tuple(self._one(x, own, part, scope) for x, own, part in pairs)
        own = self.in_proj_weight, self.in_proj_bias
        return self._one(qkv[0], own, responses[0], scope).chunk(3, -1)

    def _one(self, x: Tensor, own: tuple[Tensor, Tensor | None], part: LowRank, scope: Scope | None) -> Tensor:
        if scope is None or scope.h is None:
            return F.linear(x, *own)
        y = with_tangent(F.linear, x, own, scope)
        z = low_rank.inner_product(parts(x, scope)[0], part.inner)
        return low_rank.add_to_features(y, z, part, (scope, self.home), lift_time)

    def _responses(self) -> list[LowRank]:
        return [low_rank.part_of(self, _suffix(name)) for name in names_of(self)]


class GatedMultiheadAttention(_FormAttention):
    """diag(1 + S h) W and (1 + S h) ⊙ b + T h in the query, key, value and output projections, per example."""

    response_scale: nn.Parameter
    response_shift: nn.Parameter | None

    projection = GatedLinear

    def make_response(self) -> None:
        """S of all three projections, T with a bias."""
        rows = 3 * self.embed_dim
        shift = rows if self.in_proj_bias is not None else 0
        like = self.get_parameter(names_of(self)[0])
        gate.register(self, "", {"scale": rows, "shift": shift}, self.num_hyper, like)

    def reset_response(self) -> None:
        """The response part alone."""
        for rows in (self.response_scale, self.response_shift):
            if rows is not None:
                reset_gain(rows, self.gain)
        self.out_proj.reset_response()

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by nn.MultiheadAttention's names."""
        s = product(h, self.response_scale)
        each = zip(names_of(self), s.split(len(s) // len(names_of(self))), strict=True)
        out = {name: gate.scaled(self.get_parameter(name), rows) for name, rows in each}
        if self.in_proj_bias is not None and self.response_shift is not None:
            moved = product(h, self.response_shift).to(self.in_proj_bias.dtype)
            out["in_proj_bias"] = gate.scaled(self.in_proj_bias, s) + moved
        return out | _others(self, h)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name; the output projection is a layer of its own."""
        names = names_of(self)
        rows = self.response_scale.split(len(self.response_scale) // len(names))
        return {name: squares.gated(self.get_parameter(name), s) for name, s in zip(names, rows, strict=True)}

    def projected(self, qkv: tuple[Tensor, ...], scope: Scope | None) -> tuple[Tensor, ...]:
        """Queries, keys and values."""
        rows = self.response_scale if scope is not None else None, self.response_shift if scope is not None else None
        if len(names_of(self)) == 1 and same(qkv):
            own = self.in_proj_weight, self.in_proj_bias
            return self._one(qkv[0], own, rows, scope).chunk(3, -1)
        each = zip(qkv, own_projections(self), thirds(rows[0]), thirds(rows[1]), strict=True)
        return tuple(self._one(x, own, (scale, shift), scope) for x, own, scale, shift in each)

    def _one(self, x: Tensor, own: tuple[Tensor, Tensor | None], rows: Any, scope: Scope | None) -> Tensor:
        if scope is None or scope.h is None:
            return F.linear(x, *own)
        return gate.opened(with_tangent(F.linear, x, own, scope), rows, (scope, self.home), lift_time)


def _others(layer: Any, h: Tensor) -> dict[str, Tensor]:
    """The output projection at h, and what does not respond."""
    kept = {} if layer.bias_k is None else {"bias_k": layer.bias_k, "bias_v": layer.bias_v}
    return kept | {"out_proj." + name: w for name, w in layer.out_proj.weights(h).items()}


def _split(part: LowRank) -> list[LowRank]:
    """The three projections of a packed one: rows of U and T apart, V and Z in common."""
    rows = zip(thirds(part.outer), thirds(part.shift), strict=True)
    return [LowRank(outer, part.gain, part.inner, shift) for outer, shift in rows]


def _suffix(name: str) -> str:
    """Nothing for the packed projections, "_q", "_k" and "_v" for separate ones."""
    return "" if name.startswith("in") else "_" + name[0]
