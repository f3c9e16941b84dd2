"""What a tuner looks at before it moves anything: finite losses, and a gradient that reaches λ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.nn import distributed


def look(name: str, where: str, loss: Tensor, grad: Tensor | None, hypers: Callable[[], Mapping[str, Any]]) -> float:
    """The loss as a number, its mean over all ranks. Raises NonFiniteError if it or its gradient is not finite."""
    seen = torch.stack([loss.double(), loss.double() if grad is None else grad.detach().double().abs().sum()])
    distributed.average_([seen])
    value, slope = seen.tolist()
    if math.isfinite(value) and math.isfinite(slope):
        return float(value)
    what = f"the gradient of {name} became {slope}" if math.isfinite(value) else f"{name} became {value}"
    shown = ", ".join(f"{key}={x}" for key, x in list(hypers().items())[:8])
    raise NonFiniteError(f"{what} at {where} with {shown}; lower the learning rates or the bounds")


def reached(grad: Tensor | None, first: bool) -> Tensor:
    """∂L_V/∂λ. Raises UserError if no path leads from λ to the loss; at the first step, if nothing came along it."""
    if grad is None:
        raise UserError(
            "valid_loss does not depend on λ: it must call the model that it is given, and that model must be "
            "converted with convert(model, space) so that its layers respond"
        )
    if first and not bool(grad.any()):
        raise UserError(
            "the gradient of valid_loss in λ is exactly zero at the first tune step: the response path is missing, "
            "or nothing has trained it yet; train first (Alternation(warmup=...)) and call the model in valid_loss"
        )
    return grad
