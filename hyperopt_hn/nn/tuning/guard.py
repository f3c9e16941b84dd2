"""What a tuner looks at before it moves anything: finite losses, and a gradient that reaches λ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.nn import distributed

Gradient = Tensor | Mapping[str, Tensor] | None
"""Of the loss in λ, or in parameters: name -> gradient."""


def look(name: str, where: str, loss: Tensor, grad: Gradient, hypers: Callable[[], Mapping[str, Any]]) -> float:
    """The loss as a number, its mean over all ranks. Raises NonFiniteError if it or its gradient is not finite."""
    dense = {k: g for k, g in grad.items() if not g.is_sparse} if isinstance(grad, Mapping) else {"": grad}
    found = [g.detach() for g in dense.values() if g is not None]
    norms = [norm.double() for norm in torch._foreach_norm(found)] if found else []
    seen = torch.stack([loss.double(), torch.stack(norms).sum() if norms else loss.double()])
    distributed.average_([seen])
    value, slope = seen.tolist()
    if math.isfinite(value) and math.isfinite(slope):
        return float(value)
    shown = ", ".join(f"{key}={x}" for key, x in list(hypers().items())[:8])
    if not math.isfinite(value):
        raise NonFiniteError(f"{name} became {value} at {where} with {shown}; lower the learning rates or the bounds")
    bad = [key for key, norm in zip(dense, norms, strict=True) if key and not math.isfinite(norm)]
    what = f"of {name} in {bad[-1]!r} ({len(bad)} of {len(dense)} parameters)" if bad else f"of {name}"
    raise NonFiniteError(
        f"the gradient {what} became {slope} at {where} with {shown}, while the loss is finite: a derivative there or "
        "behind it is not (a root or a norm at zero); add a small number inside it, or lower the rates and bounds"
    )


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
