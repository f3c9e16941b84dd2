"""The response of a layer whose parameters are one number per feature: w(λ) = w + V h, b(λ) = b + C h.

Such a layer holds `weight`, `bias`, `response_scale` (V) and `response_shift` (C), any of them None.
h is (n,) or (B, n); F features, B batch, n tuned hyperparameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.nn.context import Home, Scope, scope_of
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    joined,
    new_parameter,
    parts,
    plus,
    product,
    reset_gain,
    weights_at,
)
from hyperopt_hn.nn.layers.plain import Around


class PerFeature(Around):
    """What the normalising layers share; each gives `normalised` and `_lift`, and calls `make` when it is built."""

    home: Home
    num_hyper: int
    gain: Gain
    weight: Any
    bias: Any
    response_scale: nn.Parameter | None
    response_shift: nn.Parameter | None

    def make(self, shape: tuple[int, ...] | None, bias: bool, kind: dict[str, Any]) -> None:
        """Register the parameters, uninitialised; no shape, no parameters."""
        for name, wanted in (("weight", shape is not None), ("bias", shape is not None and bias)):
            self.register_parameter(name, nn.Parameter(torch.empty(shape or (), **kind)) if wanted else None)
        self.make_response()

    def make_response(self) -> None:
        """Register V and C beside the elementary parameters that there are, uninitialised."""
        for name, own in (("response_scale", self.weight), ("response_shift", self.bias)):
            wanted = own is not None and self.num_hyper
            self.register_parameter(name, new_parameter((own.numel(), self.num_hyper), own) if wanted else None)

    def reset_parameters(self) -> None:
        """Gain 1, offset 0; V and C by `gain`."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.reset_response()

    def reset_response(self) -> None:
        """The response part alone."""
        for rows in (self.response_scale, self.response_shift):
            if rows is not None:
                reset_gain(rows, self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as torch's layer holds them."""
        out = {}
        for name, own, rows in self._pairs():
            if own is not None:
                out[name] = own if rows is None else own + product(h, rows).to(own.dtype).reshape(own.shape)
        return out

    def normalised(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """torch's own function of x."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """As torch's layer, of the same shape as x."""
        own = self._one_for_all()
        if own is not None:
            return self.normalised(input, own.get("weight"), own.get("bias"))
        return self._scaled_and_shifted(self.normalised(input, None, None))

    def _lift(self, rows: Tensor, y: Tensor) -> Tensor:
        """Rows (F,) or (B, F) shaped to multiply y."""
        raise NotImplementedError

    def _one_for_all(self) -> dict[str, Tensor | None] | None:
        """{"weight", "bias"} if every row shares them: no response, h zero, or one λ; None if rows differ."""
        scope: Scope | None = scope_of(self) if self.response_scale is not None else None
        if scope is None or scope.h is None:
            return {"weight": self.weight, "bias": self.bias}
        if scope.h.dim() == 2 or scope.tangent:
            return None
        return dict(weights_at(self, scope))

    def _scaled_and_shifted(self, xhat: Tensor) -> Tensor:
        """xhat ⊙ w(λ) + b(λ), example by example; first order in a linearised pass."""
        scope = scope_of(self)
        assert scope.h is not None
        primal, tangent = parts(xhat, scope)
        own, moved = {}, {}
        for name, base, rows in self._pairs():
            if base is not None:
                own[name] = base.flatten()
                moved[name] = product(scope.h, rows)
        if not scope.tangent:
            w = self._lift(own["weight"] + moved["weight"], primal)
            if "bias" not in own:
                return primal * w
            return torch.addcmul(self._lift(own["bias"] + moved["bias"], primal), primal, w)
        w = self._lift(own["weight"], primal)
        y = torch.addcmul(self._lift(own["bias"], primal), primal, w) if "bias" in own else primal * w
        change = primal * self._lift(moved["weight"], primal)
        if "bias" in own:
            change = change + self._lift(moved["bias"], primal)
        return joined(y, plus(change, None if tangent is None else tangent * w))

    def _pairs(self) -> tuple[tuple[str, Any, Any], tuple[str, Any, Any]]:
        return ("weight", self.weight, self.response_scale), ("bias", self.bias, self.response_shift)
