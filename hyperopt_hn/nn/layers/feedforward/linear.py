"""HyperLinear: nn.Linear whose weights are a function of λ (MacKay et al. 2019, sec. 3.2).

B batch, n tuned hyperparameters, in/out features; the response input h is (n,) or (B, n).
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
    joined,
    lift_features,
    merged,
    parts,
    product,
    reset_gain,
    reset_uniform,
    respond,
    weights_at,
)
from hyperopt_hn.nn.layers.masks import connected
from hyperopt_hn.nn.layers.plain import Around

MERGE_ROWS = 512
"""From how many rows on, with gradients, one product with merged weights is faster than two: merging W + diag(s) R and
its backward pass over the weights five times (4096 x 4096 at 128 rows: 75 ms for a product of 17 ms saved)."""


class HyperLinear(Around):
    """y = (W + diag(V h) R) x + b + (C h) ⊙ b_R, per example; (..., in) -> (..., out).

    The elementary `weight`, `bias` are nn.Linear's, in name and start. `along_input` puts V h on the input features
    instead, which is what a weight tied to an embedding needs. `dropconnect` names a shared hyperparameter that is
    the rate at which single weights are dropped in training. With num_hyper=0 this is nn.Linear, bit for bit.
    """

    plain_class = nn.Linear
    weight: nn.Parameter
    bias: nn.Parameter | None
    response_weight: nn.Parameter
    response_bias: nn.Parameter
    response_scale: nn.Parameter
    response_shift: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        num_hyper: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
        along_input: bool = False,
    ) -> None:
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.in_features, self.out_features, self.num_hyper = in_features, out_features, num_hyper
        self.gain, self.along_input = gain, along_input
        self.dropconnect: str | None = None
        self.home = Home(None, num_hyper)
        self.weight = nn.Parameter(torch.empty(out_features, in_features, **kind))
        self.register_parameter("bias", nn.Parameter(torch.empty(out_features, **kind)) if bias else None)
        if num_hyper:
            scaled = in_features if along_input else out_features
            self.response_weight = nn.Parameter(torch.empty(out_features, in_features, **kind))
            self.register_parameter("response_bias", nn.Parameter(torch.empty(out_features, **kind)) if bias else None)
            self.response_scale = nn.Parameter(torch.empty(scaled, num_hyper, **kind))
            shift = nn.Parameter(torch.empty(out_features, num_hyper, **kind)) if bias else None
            self.register_parameter("response_shift", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Elementary part as nn.Linear's, W_R and b_R alike, V and C by `gain`."""
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        if self.bias is not None:
            reset_uniform(self.bias, self.in_features)
        self.reset_response()

    def reset_response(self) -> None:
        """The response part alone."""
        if not self.num_hyper:
            return
        reset_uniform(self.response_weight, self.in_features)
        reset_gain(self.response_scale, self.gain)
        if self.bias is not None:
            reset_uniform(self.response_bias, self.in_features)
            reset_gain(self.response_shift, self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as nn.Linear holds them."""
        return self._weights(h, self.weight, self.response_weight)

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.full(self.weight, self.response_weight, self.response_scale, int(self.along_input))}

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        if not self.num_hyper:
            weight, _ = connected(self, self.dropconnect, self.weight, None)
            return F.linear(input, weight, self.bias)
        scope = scope_of(self)
        if scope.h is None:
            weight, _ = connected(self, self.dropconnect, self.weight, None)
            return F.linear(input, weight, self.bias)
        weight, response = connected(self, self.dropconnect, self.weight, self.response_weight)
        assert response is not None
        few = torch.is_grad_enabled() and input.numel() < MERGE_ROWS * self.in_features
        if scope.h.dim() == 2 or scope.tangent or few:
            return self._per_example(input, scope, scope.h, weight, response)
        both = weights_at(self, scope) if weight is self.weight else self._weights(scope.h, weight, response)
        return F.linear(input, both["weight"], both.get("bias"))

    def _weights(self, h: Tensor, weight: Tensor, response: Tensor) -> dict[str, Tensor]:
        s = product(h, self.response_scale)
        out = {"weight": merged(weight, s if self.along_input else s.unsqueeze(1), response)}
        if self.bias is not None:
            out["bias"] = merged(self.bias, product(h, self.response_shift), self.response_bias)
        return out

    def _per_example(self, x: Tensor, scope: Scope, h: Tensor, weight: Tensor, response: Tensor) -> Tensor:
        s, offset = product(h, self.response_scale), None
        if self.bias is not None:
            offset = product(h, self.response_shift) * self.response_bias
        if not self.along_input:
            rows = Rows(s, offset, lift_features, self.home, scope)
            return respond(F.linear, x, (weight, self.bias), response, rows)
        primal, tangent = parts(x, scope)
        y = F.linear(primal, weight, self.bias)
        moved = F.linear(lift_features(s, primal, self.home) * primal, response)
        if offset is not None:
            moved = moved + lift_features(offset, moved, self.home)
        if not scope.tangent:
            return y + moved
        return joined(y, moved if tangent is None else moved + F.linear(tangent, weight))

    def extra_repr(self) -> str:
        shape = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{shape}, num_hyper={self.num_hyper}, bias={self.bias is not None}"
