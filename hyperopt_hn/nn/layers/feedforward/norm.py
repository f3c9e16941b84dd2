"""HyperLayerNorm, HyperGroupNorm: gains w(λ) = w + V h and offsets b(λ) = b + C h.

For one number per feature V h is already every affine response, so there is no R here. B batch, C channels,
F normalised features, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Home
from hyperopt_hn.nn.layers.affine_response import Gain, align, batch_axis, lift_channels
from hyperopt_hn.nn.layers.per_feature_response import PerFeature


class HyperLayerNorm(PerFeature):
    """nn.LayerNorm with responding gain and offset; (..., *normalized_shape) unchanged in shape."""

    plain_class = nn.LayerNorm

    def __init__(
        self,
        normalized_shape: int | list[int] | tuple[int, ...],
        num_hyper: int,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.num_hyper, self.eps, self.gain = shape, num_hyper, eps, gain
        self.elementwise_affine = elementwise_affine
        self.home = Home(None, num_hyper)
        self.make(shape if elementwise_affine else None, bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def normalised(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """(..., *normalized_shape) -> the same."""
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)

    def _lift(self, rows: Tensor, y: Tensor) -> Tensor:
        if rows.dim() == 1:
            return rows.to(y.dtype).reshape(self.normalized_shape)
        axis = batch_axis(y.shape[: y.dim() - len(self.normalized_shape)], rows.shape[0], self.home)
        shape = [1] * (y.dim() - len(self.normalized_shape)) + list(self.normalized_shape)
        shape[axis] = y.shape[axis]
        return align(rows, y.shape[axis], self.home).to(y.dtype).reshape(shape)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, num_hyper={self.num_hyper}, eps={self.eps}"


class HyperGroupNorm(PerFeature):
    """nn.GroupNorm with responding gain and offset; (B, C, ...) unchanged in shape."""

    plain_class = nn.GroupNorm

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        num_hyper: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        super().__init__()
        self.num_groups, self.num_channels, self.num_hyper = num_groups, num_channels, num_hyper
        self.eps, self.affine, self.gain = eps, affine, gain
        self.home = Home(None, num_hyper)
        self.make((num_channels,) if affine else None, True, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def normalised(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """(B, C, ...) -> the same."""
        return F.group_norm(x, self.num_groups, weight, bias, self.eps)

    def _lift(self, rows: Tensor, y: Tensor) -> Tensor:
        return lift_channels(rows, y, self.home)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, num_hyper={self.num_hyper}, eps={self.eps}"
