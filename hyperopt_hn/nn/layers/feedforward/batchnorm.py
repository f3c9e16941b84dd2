"""HyperBatchNorm1d/2d/3d: batch normalisation with responding gain and offset, w(λ) = w + V h, b(λ) = b + C h.

Statistics are those of the batch in training and the running ones otherwise, exactly as torch keeps them; they
follow the activations at the λ in use. B batch, C channels, n tuned hyperparameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from hyperopt_hn.nn.context import Home
from hyperopt_hn.nn.layers.affine_response import Gain, lift_channels
from hyperopt_hn.nn.layers.per_feature_response import PerFeature

_NDIM: dict[int, tuple[int, ...]] = {1: (2, 3), 2: (4,), 3: (5,)}


class _HyperBatchNorm(PerFeature, _BatchNorm):
    """What the three share; `dims` is the number of spatial dimensions.

    One of torch's own, so that code that looks for batch norms (averaged models, frozen statistics) finds them.
    """

    dims: int

    def __init__(
        self,
        num_features: int,
        num_hyper: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        self.num_hyper, self.gain = num_hyper, gain
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.home = Home(None, num_hyper)
        self.make_response()
        self.reset_response()

    def reset_parameters(self) -> None:
        """Gain 1, offset 0, fresh statistics; V and C by `gain`."""
        _BatchNorm.reset_parameters(self)
        if "home" in self.__dict__:  # torch's constructor calls this before the response is there
            self.reset_response()

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> the same. Raises ValueError for another number of dimensions, as torch does."""
        self._check_input_dim(input)
        return PerFeature.forward(self, input)

    def normalised(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """By the batch's statistics in training, which move the running ones, by these otherwise."""
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                factor = 1.0 / float(self.num_batches_tracked)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if keep else (None, None)
        return F.batch_norm(x, mean, var, weight, bias, by_batch, factor, self.eps)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() not in _NDIM[self.dims]:
            raise ValueError(f"{type(self).__name__} got a {x.dim()}-dimensional input")

    def _lift(self, rows: Tensor, y: Tensor) -> Tensor:
        return lift_channels(rows, y, self.home)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, num_hyper={self.num_hyper}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class HyperBatchNorm1d(_HyperBatchNorm):
    """nn.BatchNorm1d with responding gain and offset; (B, C) or (B, C, L)."""

    plain_class, dims = nn.BatchNorm1d, 1


class HyperBatchNorm2d(_HyperBatchNorm):
    """nn.BatchNorm2d with responding gain and offset; (B, C, H, W)."""

    plain_class, dims = nn.BatchNorm2d, 2


class HyperBatchNorm3d(_HyperBatchNorm):
    """nn.BatchNorm3d with responding gain and offset; (B, C, D, H, W)."""

    plain_class, dims = nn.BatchNorm3d, 3
