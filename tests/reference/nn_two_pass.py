"""The obvious hyper layers: an elementary pass plus a response pass, scaled row by row; the LSTM a Python loop.

Written from MacKay et al. 2019, sec. 3.2, to be read rather than to be fast; autograd does every backward.
λ is the response input, (B, n).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def linear(layer: Any, x: Tensor, lam: Tensor) -> Tensor:
    """(B, in) -> (B, out)."""
    elementary = F.linear(x, layer.weight, layer.bias)
    response = (lam @ layer.response_scale.t()) * F.linear(x, layer.response_weight)
    return elementary + response + (lam @ layer.response_shift.t()) * layer.response_bias


def conv2d(layer: Any, x: Tensor, lam: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C', H', W')."""
    how = (layer.stride, layer.padding, layer.dilation, layer.groups)
    elementary = F.conv2d(x, layer.weight, layer.bias, *how)
    scale = (lam @ layer.response_scale.t())[:, :, None, None]
    shift = (lam @ layer.response_shift.t()) * layer.response_bias
    return elementary + scale * F.conv2d(x, layer.response_weight, None, *how) + shift[:, :, None, None]


def lstm(layer: Any, x: Tensor, lam: Tensor) -> Tensor:
    """Outputs (T, B, H) of one layer from a zero state, time first: four products a step, λ products too."""
    outputs, _ = lstm_steps(layer, x, lam, 0)
    return outputs


def lstm_steps(layer: Any, x: Tensor, lam: Tensor, depth: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Layer `depth` alone: outputs (T, B, H) and the last states (B, H)."""
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for step in x:
        gates = _cell_product(layer, f"ih_l{depth}", step, lam) + _cell_product(layer, f"hh_l{depth}", h, lam)
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), (h, c)


def _cell_product(layer: Any, which: str, x: Tensor, lam: Tensor) -> Tensor:
    def get(name: str) -> Tensor:
        found: Tensor = getattr(layer, f"{name}_{which}")
        return found

    elementary = F.linear(x, get("weight"), get("bias"))
    response = (lam @ get("response_scale").t()) * F.linear(x, get("response_weight"))
    return elementary + response + (lam @ get("response_shift").t()) * get("response_bias")
