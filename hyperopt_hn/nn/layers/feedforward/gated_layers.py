"""Linear, convolution and embedding layers with a gate for a response (see `gate`), each torch's own class.

Where no λ differs from the centre, and with one λ for a batch that needs no gradient, the plain product runs alone.
B batch, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.layers import gate, squares
from hyperopt_hn.nn.layers.affine_response import lift_channels, lift_features, product, reset_gain, with_tangent
from hyperopt_hn.nn.layers.in_place import InPlace
from hyperopt_hn.nn.layers.masks import connected, kept_words


class _GatedLayer(InPlace):
    """What they share: one weight, gated along `axis`, and a bias, gated with its outputs and shifted, or none."""

    weight: Any
    bias: Any
    response_scale: nn.Parameter
    response_shift: nn.Parameter | None

    @property
    def axis(self) -> int:
        """The dimension of the weight along which it is gated."""
        return 0

    def make_response(self) -> None:
        """S, and T with a bias."""
        shift = 0 if self.bias is None else len(self.bias)
        rows = {"scale": self.weight.shape[self.axis], "shift": shift}
        gate.register(self, "", rows, self.num_hyper, self.weight)

    def reset_response(self) -> None:
        """The response part alone."""
        reset_gain(self.response_scale, self.gain)
        if self.response_shift is not None:
            reset_gain(self.response_shift, self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as torch's layer holds them."""
        s = product(h, self.response_scale)
        out = {"weight": gate.scaled(self.weight, s, self.axis)}
        if self.response_shift is not None:
            moved = product(h, self.response_shift).to(self.bias.dtype)
            out["bias"] = (self.bias if self.axis else gate.scaled(self.bias, s)) + moved
        return out

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.gated(self.weight, self.response_scale, self.axis)}


class GatedLinear(_GatedLayer, nn.Linear):
    """y = (1 + S h) ⊙ (W x + b) + T h, per example; (..., in) -> (..., out).

    `along_input` puts the gate on the input features instead, y = W ((1 + S h) ⊙ x) + b + T h, which is what a weight
    tied to an embedding needs. `dropconnect` names a shared hyperparameter that is the rate at which single weights
    are dropped in training.
    """

    along_input: bool = False
    dropconnect: str | None = None

    @property
    def axis(self) -> int:
        """Rows, or columns `along_input`."""
        return int(self.along_input)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        scope = self.scope()
        weight, _ = connected(self, self.dropconnect, self.weight, None)
        y = self.at_once(F.linear, input, (weight, self.bias), scope)
        if y is not None:
            return y
        assert scope is not None
        call = scope, self.home
        if not self.along_input:
            y = with_tangent(F.linear, input, (weight, self.bias), scope)
            return gate.opened(y, (self.response_scale, self.response_shift), call, lift_features)
        x = gate.opened(input, (self.response_scale, None), call, lift_features)
        y = with_tangent(F.linear, x, (weight, self.bias), scope)
        return y if self.response_shift is None else gate.shifted(y, self.response_shift, call, lift_features)


class _GatedConv(_GatedLayer):
    """What the convolutions share: a gate for each output channel."""

    _conv_forward: Any

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C', ...)."""
        scope = self.scope()
        y = self.at_once(self._conv_forward, input, (self.weight, self.bias), scope)
        if y is not None:
            return y
        assert scope is not None
        y = with_tangent(self._conv_forward, input, (self.weight, self.bias), scope)
        return gate.opened(y, (self.response_scale, self.response_shift), (scope, self.home), lift_channels)


class GatedConv1d(_GatedConv, nn.Conv1d):
    """nn.Conv1d with a gate per output channel; (B, C, L) -> (B, C', L')."""


class GatedConv2d(_GatedConv, nn.Conv2d):
    """nn.Conv2d with a gate per output channel; (B, C, H, W) -> (B, C', H', W')."""


class GatedConv3d(_GatedConv, nn.Conv3d):
    """nn.Conv3d with a gate per output channel; (B, C, D, H, W) -> (B, C', D', H', W')."""


class GatedEmbedding(_GatedLayer, nn.Embedding):
    """E(λ)[token] = (1 + S h) ⊙ E[token], tokens (...) -> (..., D).

    `dropout` names a shared hyperparameter: the rate at which whole word types vanish in training, one mask per batch.
    """

    bias = None
    response_attributes = (*InPlace.response_attributes, "dropout")
    dropout: str | None = None

    @property
    def axis(self) -> int:
        """The features of a word."""
        return 1

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (..., D)."""
        scope = self.scope()
        out = nn.Embedding.forward(self, input)
        if scope is not None and scope.h is not None:
            out = gate.opened(out, (self.response_scale, None), (scope, self.home), lift_features)
        return kept_words(self, self.dropout, input, out)
