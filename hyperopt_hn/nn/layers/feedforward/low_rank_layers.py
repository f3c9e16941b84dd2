"""Linear, convolution and embedding layers with a low-rank response (see `low_rank`), each torch's own class.

Where no λ differs from the centre, and with one λ for a batch that needs no gradient, the plain product runs alone.
B batch, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Home, scope_of
from hyperopt_hn.nn.layers import low_rank, squares
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    lift_channels,
    lift_features,
    merged_once,
    parts,
    product,
    reset_gain,
    with_tangent,
)
from hyperopt_hn.nn.layers.low_rank import LowRank
from hyperopt_hn.nn.layers.masks import connected, kept_words
from hyperopt_hn.nn.layers.plain import Options, become, restored

Conv = TypeVar("Conv", bound="_LowRankConv")


class LowRankLinear(nn.Linear):
    """y = (W + U diag(V h) Z) x + b + T h, per example; (..., in) -> (..., out).

    `dropconnect` names a shared hyperparameter that is the rate at which single entries of W are dropped in training;
    U diag(V h) Z is not.
    """

    home: Home
    num_hyper: int = 0
    gain: Gain
    rank: int | None
    dropconnect: str | None = None

    @classmethod
    def from_plain(cls, plain: nn.Linear, options: Options) -> LowRankLinear:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        if layer.num_hyper:
            bias = layer.bias is not None
            low_rank.register(layer, "", layer.out_features, (layer.in_features,), layer.weight, bias)
            layer.reset_response()
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def reset_response(self) -> None:
        """The response part alone."""
        low_rank.reset(low_rank.part_of(self), self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as nn.Linear holds them."""
        return _weights(self, h)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.low_rank(self.weight, low_rank.part_of(self))}

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        scope = scope_of(self) if self.num_hyper else None
        weight, _ = connected(self, self.dropconnect, self.weight, None)
        if scope is None or scope.h is None:
            return F.linear(input, weight, self.bias)
        both = merged_once(self, scope) if weight is self.weight else None
        if both is not None:
            return F.linear(input, both["weight"], both.get("bias"))
        part = low_rank.part_of(self)
        y = with_tangent(F.linear, input, (weight, self.bias), scope)
        z = low_rank.inner_product(parts(input, scope)[0], part.inner)
        return low_rank.add_to_features(y, z, part, (scope, self.home), lift_features)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}, rank={_rank(self)}"


class _LowRankConv(nn.Module):
    """What the convolutions share: Z is a convolution to k channels like W's, U a product at every place.

    With groups, Z is the same for each group and its answers stay apart, so that W + U diag(V h) Z holds for all rows.
    """

    home: Home
    num_hyper: int = 0
    gain: Gain
    rank: int | None
    groups: int
    weight: Any
    bias: Any

    @classmethod
    def from_plain(cls: type[Conv], plain: Any, options: Options) -> Conv:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        if layer.num_hyper:
            rows, inner = layer.weight.shape[0], tuple(layer.weight.shape[1:])
            if layer.rank is None and layer.groups > 1:  # Z runs once for each group
                layer.rank = max(1, min(low_rank.LEAST, rows // (low_rank.LEAST * layer.groups)))
            low_rank.register(layer, "", rows, inner, layer.weight, layer.bias is not None)
            layer.reset_response()
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def reset_response(self) -> None:
        """The response part alone."""
        low_rank.reset(low_rank.part_of(self), self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as torch's convolution holds them."""
        return _weights(self, h)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.low_rank(self.weight, low_rank.part_of(self))}

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C', ...)."""
        own: Any = self
        scope = scope_of(self) if self.num_hyper else None
        if scope is None or scope.h is None:
            out: Tensor = own._conv_forward(input, self.weight, self.bias)
            return out
        both = merged_once(self, scope)
        if both is not None:
            return own._conv_forward(input, both["weight"], both.get("bias", None))
        part = low_rank.part_of(self)
        y = with_tangent(own._conv_forward, input, (self.weight, self.bias), scope)
        inner = part.inner.repeat(self.groups, *[1] * (part.inner.dim() - 1)) if self.groups > 1 else part.inner
        z = own._conv_forward(parts(input, scope)[0], inner, None)
        return low_rank.add_to_channels(y, z, part, self.groups, (scope, self.home), lift_channels)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}, rank={_rank(self)}"


class LowRankConv1d(_LowRankConv, nn.Conv1d):
    """nn.Conv1d with a low-rank response; (B, C, L) -> (B, C', L')."""


class LowRankConv2d(_LowRankConv, nn.Conv2d):
    """nn.Conv2d with a low-rank response; (B, C, H, W) -> (B, C', H', W')."""


class LowRankConv3d(_LowRankConv, nn.Conv3d):
    """nn.Conv3d with a low-rank response; (B, C, D, H, W) -> (B, C', D', H', W')."""


class LowRankEmbedding(nn.Embedding):
    """E(λ)[token] = E[token] + (V h ⊙ U[token]) Z, tokens (...) -> (..., D); U (words, k), Z (k, D).

    `dropout` names a shared hyperparameter: the rate at which whole word types vanish in training, one mask per batch.
    """

    home: Home
    num_hyper: int = 0
    gain: Gain
    rank: int | None
    dropout: str | None = None

    @classmethod
    def from_plain(cls, plain: nn.Embedding, options: Options) -> LowRankEmbedding:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        if layer.num_hyper:
            low_rank.register(layer, "", layer.num_embeddings, (layer.embedding_dim,), layer.weight, False)
            layer.reset_response()
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def reset_response(self) -> None:
        """The response part alone: U random and Z by `gain`, since a batch reaches all of Z and few rows of U."""
        part = low_rank.part_of(self)
        nn.init.uniform_(part.outer, -1.0, 1.0)
        low_rank.reset_directions(part.gain)
        reset_gain(part.inner, self.gain)
        if self.padding_idx is not None:
            with torch.no_grad():
                part.outer[self.padding_idx].zero_()

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight"} as nn.Embedding holds it."""
        return _weights(self, h)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|E(λ)|² in h, by name."""
        return {"weight": squares.low_rank(self.weight, low_rank.part_of(self))}

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (..., D)."""
        scope = scope_of(self) if self.num_hyper else None
        out = super().forward(input)
        if scope is not None and scope.h is not None:
            part = low_rank.part_of(self)
            z = F.embedding(input, part.outer, self.padding_idx, None, 2.0, self.scale_grad_by_freq, self.sparse)
            turned = LowRank(part.inner.t(), part.gain, part.outer, None)
            out = low_rank.add_to_features(out, z.movedim(-1, 0), turned, (scope, self.home), lift_features)
        return kept_words(self, self.dropout, input, out)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}, rank={_rank(self)}"


def _weights(layer: Any, h: Tensor) -> dict[str, Tensor]:
    part: LowRank = low_rank.part_of(layer)
    out = {"weight": layer.weight + part.matrix(h).view(layer.weight.shape)}
    if part.shift is not None:
        out["bias"] = layer.bias + product(h, part.shift).to(layer.bias.dtype)
    return out


def _rank(layer: nn.Module) -> int:
    return low_rank.part_of(layer).gain.shape[0] if layer.num_hyper else 0
