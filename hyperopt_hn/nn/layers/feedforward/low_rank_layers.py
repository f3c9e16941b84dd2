"""Linear, convolution and embedding layers with a low-rank response (see `low_rank`), each torch's own class.

Where no λ differs from the centre, and with one λ for a batch that needs no gradient, the plain product runs alone.
B batch, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.layers import low_rank, squares
from hyperopt_hn.nn.layers.affine_response import (
    lift_channels,
    lift_features,
    parts,
    product,
    reset_gain,
    with_tangent,
)
from hyperopt_hn.nn.layers.in_place import InPlace
from hyperopt_hn.nn.layers.low_rank import LowRank
from hyperopt_hn.nn.layers.masks import connected, kept_words


class _LowRankLayer(InPlace):
    """What they share: one weight, and a bias or none."""

    weight: Any
    bias: Any

    def make_response(self) -> None:
        """U, V, Z, and T with a bias."""
        rows, inner = self.weight.shape[0], tuple(self.weight.shape[1:])
        low_rank.register(self, "", rows, inner, self.weight, self.bias is not None)

    def reset_response(self) -> None:
        """The response part alone."""
        low_rank.reset(low_rank.part_of(self), self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as torch's layer holds them."""
        part = low_rank.part_of(self)
        out = {"weight": self.weight + part.matrix(h).view(self.weight.shape)}
        if part.shift is not None:
            out["bias"] = self.bias + product(h, part.shift).to(self.bias.dtype)
        return out

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.low_rank(self.weight, low_rank.part_of(self))}

    def extra_repr(self) -> str:
        rank = low_rank.part_of(self).gain.shape[0] if self.num_hyper else 0
        return f"{super().extra_repr()}, rank={rank}"


class LowRankLinear(_LowRankLayer, nn.Linear):
    """y = (W + U diag(V h) Z) x + b + T h, per example; (..., in) -> (..., out).

    `dropconnect` names a shared hyperparameter that is the rate at which single entries of W are dropped in training;
    U diag(V h) Z is not.
    """

    dropconnect: str | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        scope = self.scope()
        weight, _ = connected(self, self.dropconnect, self.weight, None)
        y = self.at_once(F.linear, input, (weight, self.bias), scope)
        if y is not None:
            return y
        assert scope is not None
        part = low_rank.part_of(self)
        y = with_tangent(F.linear, input, (weight, self.bias), scope)
        z = low_rank.inner_product(parts(input, scope)[0], part.inner)
        return low_rank.add_to_features(y, z, part, (scope, self.home), lift_features)


class _LowRankConv(_LowRankLayer):
    """What the convolutions share: Z is a convolution to k channels like W's, U a product at every place.

    With groups, Z is the same for each group and its answers stay apart, so that W + U diag(V h) Z holds for all rows.
    """

    groups: int
    _conv_forward: Any

    def make_response(self) -> None:
        """U, V, Z, and T with a bias."""
        if self.rank is None and self.groups > 1:  # Z runs once for each group
            self.rank = max(1, min(low_rank.LEAST, self.weight.shape[0] // (low_rank.LEAST * self.groups)))
        super().make_response()

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C', ...)."""
        scope = self.scope()
        y = self.at_once(self._conv_forward, input, (self.weight, self.bias), scope)
        if y is not None:
            return y
        assert scope is not None
        part = low_rank.part_of(self)
        y = with_tangent(self._conv_forward, input, (self.weight, self.bias), scope)
        inner = part.inner.repeat(self.groups, *[1] * (part.inner.dim() - 1)) if self.groups > 1 else part.inner
        z = self._conv_forward(parts(input, scope)[0], inner, None)
        return low_rank.add_to_channels(y, z, part, self.groups, (scope, self.home), lift_channels)


class LowRankConv1d(_LowRankConv, nn.Conv1d):
    """nn.Conv1d with a low-rank response; (B, C, L) -> (B, C', L')."""


class LowRankConv2d(_LowRankConv, nn.Conv2d):
    """nn.Conv2d with a low-rank response; (B, C, H, W) -> (B, C', H', W')."""


class LowRankConv3d(_LowRankConv, nn.Conv3d):
    """nn.Conv3d with a low-rank response; (B, C, D, H, W) -> (B, C', D', H', W')."""


class LowRankEmbedding(_LowRankLayer, nn.Embedding):
    """E(λ)[token] = E[token] + (V h ⊙ U[token]) Z, tokens (...) -> (..., D); U (words, k), Z (k, D).

    `dropout` names a shared hyperparameter: the rate at which whole word types vanish in training, one mask per batch.
    """

    bias = None
    response_attributes = (*InPlace.response_attributes, "dropout")
    dropout: str | None = None

    def reset_response(self) -> None:
        """The response part alone: U random and Z by `gain`, since a batch reaches all of Z and few rows of U."""
        part = low_rank.part_of(self)
        nn.init.uniform_(part.outer, -1.0, 1.0)
        low_rank.reset_directions(part.gain)
        reset_gain(part.inner, self.gain)
        if self.padding_idx is not None:
            with torch.no_grad():
                part.outer[self.padding_idx].zero_()

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (..., D)."""
        scope = self.scope()
        out = nn.Embedding.forward(self, input)
        if scope is not None and scope.h is not None:
            part = low_rank.part_of(self)
            z = F.embedding(input, part.outer, self.padding_idx, None, 2.0, self.scale_grad_by_freq)
            turned = LowRank(part.inner.t(), part.gain, part.outer, None)
            out = low_rank.add_to_features(out, z.movedim(-1, 0), turned, (scope, self.home), lift_features)
        return kept_words(self, self.dropout, input, out)
