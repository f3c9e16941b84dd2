"""HyperConv1d/2d/3d: convolutions with one response scalar per output channel (MacKay et al. 2019, sec. 3.2).

B batch, C channels, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Home, scope_of
from hyperopt_hn.nn.layers import squares
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    Rows,
    lift_channels,
    merged,
    product,
    reset_gain,
    reset_uniform,
    respond,
    weights_at,
)
from hyperopt_hn.nn.layers.plain import Around

Size = int | tuple[int, ...]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
_PRODUCT: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class _HyperConv(Around):
    """What the three share; `dims` is the number of spatial dimensions."""

    dims: int
    weight: nn.Parameter
    bias: nn.Parameter | None
    response_weight: nn.Parameter
    response_bias: nn.Parameter
    response_scale: nn.Parameter
    response_shift: nn.Parameter

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        num_hyper: int,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        super().__init__()
        # nn.ConvNd checks the arguments, makes tuples of them and works out the padding of other modes
        shape = self.plain_class(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, "meta", dtype
        )
        self.in_channels, self.out_channels, self.num_hyper = in_channels, out_channels, num_hyper
        self.kernel_size, self.stride, self.padding = shape.kernel_size, shape.stride, shape.padding
        self.dilation, self.groups, self.padding_mode = shape.dilation, groups, padding_mode
        self.transposed, self.output_padding = shape.transposed, shape.output_padding
        self._reversed_padding = list(shape._reversed_padding_repeated_twice)
        self.gain = gain
        self.home = Home(None, num_hyper)
        kind = {"device": device, "dtype": dtype}
        size = tuple(shape.weight.shape)
        self.weight = nn.Parameter(torch.empty(size, **kind))
        self.register_parameter("bias", nn.Parameter(torch.empty(out_channels, **kind)) if bias else None)
        if num_hyper:
            self.response_weight = nn.Parameter(torch.empty(size, **kind))
            self.response_scale = nn.Parameter(torch.empty(out_channels, num_hyper, **kind))
            self.register_parameter("response_bias", nn.Parameter(torch.empty(out_channels, **kind)) if bias else None)
            shift = nn.Parameter(torch.empty(out_channels, num_hyper, **kind)) if bias else None
            self.register_parameter("response_shift", shift)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Elementary part as torch's, R and b_R alike, V and C by `gain`."""
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        if self.bias is not None:
            reset_uniform(self.bias, self.weight[0].numel())
        self.reset_response()

    def reset_response(self) -> None:
        """The response part alone."""
        if not self.num_hyper:
            return
        fan_in = self.weight[0].numel()
        reset_uniform(self.response_weight, fan_in)
        reset_gain(self.response_scale, self.gain)
        if self.bias is not None:
            reset_uniform(self.response_bias, fan_in)
            reset_gain(self.response_shift, self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight", "bias"} as the plain convolution holds them."""
        s = product(h, self.response_scale).reshape(-1, *([1] * (self.weight.dim() - 1)))
        out = {"weight": merged(self.weight, s, self.response_weight)}
        if self.bias is not None:
            out["bias"] = merged(self.bias, product(h, self.response_shift), self.response_bias)
        return out

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {"weight": squares.full(self.weight, self.response_weight, self.response_scale)}

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> (B, C', ...)."""
        scope = scope_of(self) if self.num_hyper else None
        if scope is None or scope.h is None:
            return self._product(input, self.weight, self.bias)
        if scope.h.dim() == 1 and not scope.tangent:
            both = weights_at(self, scope)
            return self._product(input, both["weight"], both.get("bias"))
        s, offset = product(scope.h, self.response_scale), None
        if self.bias is not None:
            offset = product(scope.h, self.response_shift) * self.response_bias
        rows = Rows(s, offset, lift_channels, self.home, scope)
        return respond(self._product, input, (self.weight, self.bias), self.response_weight, rows)

    def _product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._reversed_padding, mode=self.padding_mode), 0
        out: Tensor = _PRODUCT[self.dims](x, weight, bias, self.stride, padding, self.dilation, self.groups)
        return out

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, num_hyper={self.num_hyper}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"bias={self.bias is not None}, padding_mode={self.padding_mode}"
        )


class HyperConv1d(_HyperConv):
    """nn.Conv1d with a response per output channel; (B, C, L) -> (B, C', L')."""

    plain_class, dims = nn.Conv1d, 1


class HyperConv2d(_HyperConv):
    """nn.Conv2d with a response per output channel; (B, C, H, W) -> (B, C', H', W')."""

    plain_class, dims = nn.Conv2d, 2


class HyperConv3d(_HyperConv):
    """nn.Conv3d with a response per output channel; (B, C, D, H, W) -> (B, C', D', H', W')."""

    plain_class, dims = nn.Conv3d, 3
