"""Linear, convolution and embedding layers with a gate for a response (see `gate`), each torch's own class.

Where no λ differs from the centre, and with one λ for a batch that needs no gradient, the plain product runs alone.
B batch, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Home, scope_of
from hyperopt_hn.nn.layers import gate, squares
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    lift_channels,
    lift_features,
    merged_once,
    product,
    reset_gain,
    with_tangent,
)
from hyperopt_hn.nn.layers.masks import connected, kept_words
from hyperopt_hn.nn.layers.plain import Options, become, restored

Conv = TypeVar("Conv", bound="_GatedConv")


class GatedLinear(nn.Linear):
    """y = (1 + S h) ⊙ (W x + b) + T h, per example; (..., in) -> (..., out).

    `along_input` puts the gate on the input features instead, y = W ((1 + S h) ⊙ x) + b + T h, which is what a weight
    tied to an embedding needs. `dropconnect` names a shared hyperparameter that is the rate at which single weights
    are dropped in training.
    """

    home: Home
    num_hyper: int = 0
    gain: Gain
    along_input: bool = False
    dropconnect: str | None = None
    response_scale: nn.Parameter
    response_shift: nn.Parameter | None

    @classmethod
    def from_plain(cls, plain: nn.Linear, options: Options) -> GatedLinear:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        _register(layer, layer.out_features)
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def reset_response(self) -> None:
        """The response part alone."""
        _reset(self)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as nn.Linear holds them."""
        return _weights(self, h, int(self.along_input))

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.gated(self.weight, self.response_scale, int(self.along_input))}

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        scope = scope_of(self) if self.num_hyper else None
        weight, _ = connected(self, self.dropconnect, self.weight, None)
        if scope is None or scope.h is None:
            return F.linear(input, weight, self.bias)
        both = merged_once(self, scope) if weight is self.weight else None
        if both is not None:
            return F.linear(input, both["weight"], both.get("bias"))
        call = scope, self.home
        if not self.along_input:
            y = with_tangent(F.linear, input, (weight, self.bias), scope)
            return gate.opened(y, (self.response_scale, self.response_shift), call, lift_features)
        x = gate.opened(input, (self.response_scale, None), call, lift_features)
        y = with_tangent(F.linear, x, (weight, self.bias), scope)
        return y if self.response_shift is None else gate.shifted(y, self.response_shift, call, lift_features)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}"


class _GatedConv(nn.Module):
    """What the convolutions share: a gate for each output channel."""

    home: Home
    num_hyper: int = 0
    gain: Gain
    weight: Any
    bias: Any
    response_scale: nn.Parameter
    response_shift: nn.Parameter | None

    @classmethod
    def from_plain(cls: type[Conv], plain: Any, options: Options) -> Conv:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        _register(layer, layer.weight.shape[0])
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def reset_response(self) -> None:
        """The response part alone."""
        _reset(self)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as torch's convolution holds them."""
        return _weights(self, h, 0)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.gated(self.weight, self.response_scale)}

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C', ...)."""
        own: Any = self
        scope = scope_of(self) if self.num_hyper else None
        both: Any = {"weight": self.weight, "bias": self.bias}
        if scope is not None and scope.h is not None:
            both = merged_once(self, scope)
        if both is not None or scope is None:
            out: Tensor = own._conv_forward(input, both["weight"], both.get("bias"))
            return out
        y = with_tangent(own._conv_forward, input, (self.weight, self.bias), scope)
        return gate.opened(y, (self.response_scale, self.response_shift), (scope, self.home), lift_channels)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}"


class GatedConv1d(_GatedConv, nn.Conv1d):
    """nn.Conv1d with a gate per output channel; (B, C, L) -> (B, C', L')."""


class GatedConv2d(_GatedConv, nn.Conv2d):
    """nn.Conv2d with a gate per output channel; (B, C, H, W) -> (B, C', H', W')."""


class GatedConv3d(_GatedConv, nn.Conv3d):
    """nn.Conv3d with a gate per output channel; (B, C, D, H, W) -> (B, C', D', H', W')."""


class GatedEmbedding(nn.Embedding):
    """E(λ)[token] = (1 + S h) ⊙ E[token], tokens (...) -> (..., D).

    `dropout` names a shared hyperparameter: the rate at which whole word types vanish in training, one mask per batch.
    """

    home: Home
    num_hyper: int = 0
    gain: Gain
    dropout: str | None = None
    response_scale: nn.Parameter

    @classmethod
    def from_plain(cls, plain: nn.Embedding, options: Options) -> GatedEmbedding:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        if layer.num_hyper:
            gate.register(layer, "", {"scale": layer.embedding_dim}, layer.num_hyper, layer.weight)
            layer.reset_response()
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def reset_response(self) -> None:
        """The response part alone."""
        reset_gain(self.response_scale, self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight"} as nn.Embedding holds it."""
        return {"weight": gate.scaled(self.weight, product(h, self.response_scale), 1)}

    def norms(self) -> dict[str, squares.Quadratic]:
        """|E(λ)|² in h, by name."""
        return {"weight": squares.gated(self.weight, self.response_scale, 1)}

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (..., D)."""
        scope = scope_of(self) if self.num_hyper else None
        out = super().forward(input)
        if scope is not None and scope.h is not None:
            out = gate.opened(out, (self.response_scale, None), (scope, self.home), lift_features)
        return kept_words(self, self.dropout, input, out)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}"


def _register(layer: Any, rows: int) -> None:
    if layer.num_hyper:
        shift = rows if layer.bias is not None else 0
        gate.register(layer, "", {"scale": rows, "shift": shift}, layer.num_hyper, layer.weight)
        layer.reset_response()


def _reset(layer: Any) -> None:
    reset_gain(layer.response_scale, layer.gain)
    if layer.response_shift is not None:
        reset_gain(layer.response_shift, layer.gain)


def _weights(layer: Any, h: Tensor, axis: int) -> dict[str, Tensor]:
    s = product(h, layer.response_scale)
    out = {"weight": gate.scaled(layer.weight, s, axis)}
    if layer.bias is not None:
        moved = product(h, layer.response_shift).to(layer.bias.dtype)
        out["bias"] = (layer.bias if axis else gate.scaled(layer.bias, s)) + moved
    return out
