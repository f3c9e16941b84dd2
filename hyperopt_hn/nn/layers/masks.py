"""Random masks at rates that may differ from example to example, drawn from torch's global generator.

B batch, C channels, T time. A rate is a plain number, () or (B,), never differentiated.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import HyperLayer, value_of


def keep_mask(shape: tuple[int, ...], rate: Any, like: Tensor) -> Tensor:
    """Bernoulli(1 - rate) / (1 - rate), so that the mean is 1: `shape` in like's dtype and device.

    `rate` is a number or a float32/float64 tensor that broadcasts against `shape`.
    """
    uniform = torch.rand(shape, device=like.device)
    if not isinstance(rate, Tensor):
        return (uniform >= rate).to(like.dtype).mul_(0.0 if rate >= 1 else 1.0 / (1.0 - rate))
    rate = rate.to(uniform.dtype)
    return (1.0 / (1.0 - rate)).expand(shape).masked_fill(uniform < rate, 0.0).to(like.dtype)


def shared_rate(layer: HyperLayer, name: str) -> Any:
    """The rate of a mask that serves a whole batch: a number or (); UserError if the rate differs per example."""
    rate = value_of(layer, name)
    if not isinstance(rate, Tensor) or rate.dim() == 0:
        return rate
    space = layer.home.space
    if space is not None and not space[name].shared:
        raise UserError(f"{name!r} drops for a whole batch at once; declare it Hyper({name!r}, ..., shared=True)")
    return rate[0]


def kept_words(layer: HyperLayer, name: str | None, tokens: Tensor, out: Tensor) -> Tensor:
    """An embedding's rows (..., D) without the word types that its dropout takes, in training; no `name`, all."""
    if name is None or not layer.training:
        return out
    weight: Any = layer.weight  # type: ignore[attr-defined]  # under functional_call no parameter
    return out * keep_mask((len(weight),), shared_rate(layer, name), out)[tokens].unsqueeze(-1)


def connected(
    layer: HyperLayer, name: str | None, weight: Tensor, response: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """DropConnect: W and R under one mask, in training; unchanged otherwise (`name` None)."""
    if name is None or not layer.training:
        return weight, response
    mask = keep_mask(tuple(weight.shape), shared_rate(layer, name), weight)
    return weight * mask, None if response is None else response * mask
