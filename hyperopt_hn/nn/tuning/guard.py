"""What a tuner looks at before it moves anything: finite losses, a gradient that reaches λ, parts of φ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.conversion.converter import response_parameters
from hyperopt_hn.nn.responses import Phase


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


def backward(loss: Tensor, phase: Phase) -> None:
    """Add a loss's gradients to the parameters. Raises UserError if it has none to give."""
    if not loss.requires_grad:
        raise UserError(
            f"train_loss does not depend on the {phase.trains} parameters: it must call the model that it is given"
        )
    loss.backward()


def parts_of(bare: nn.Module) -> dict[str, list[nn.Parameter]]:
    """φ by the names that a Phase uses: all, general and response parameters."""
    every = list(bare.parameters())
    response = {id(p) for p in response_parameters(bare)}
    return {
        "all": every,
        "general": [p for p in every if id(p) not in response],
        "response": [p for p in every if id(p) in response],
    }
