"""Penalties on the weights of a responding model: |w(λ)|² at the λ of the context, without building w(λ).

Each weight's square is a quadratic form in the response input h (see layers/squares), so that one number per example
costs no more than one. B batch, n tuned hyperparameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.nn.context import scope_of
from hyperopt_hn.nn.layers import squares
from hyperopt_hn.nn.layers.by_parameter.reading import paused
from hyperopt_hn.nn.layers.squares import Quadratic


def squared_norm(model: nn.Module) -> Tensor:
    """Σ w(λ)² over all weights of two or more dimensions (no biases, no norms), each once: (), or (B,) for B λs.

    Give it a part of the model for a per-layer penalty. Call it inside a loss, where the tuner has set λ; plain
    parameters count as they are, and where no λ differs from the centre that is all it costs.
    """
    constant: Tensor | None = None
    moving: dict[int, tuple[Tensor, Quadratic]] = {}
    with paused(), _whole_precision(model):
        for parameter, h, quadratic in _weights(model):
            if quadratic is None or h is None:
                here = squares.plain(parameter)
                constant = here if constant is None else constant + here
            else:
                known = moving.get(id(h))
                moving[id(h)] = h, quadratic if known is None else known[1] + quadratic
        sums = [quadratic.at(h) for h, quadratic in moving.values()]
    total = sum(sums if constant is None else [constant, *sums])
    if not isinstance(total, Tensor):
        raise ValueError("this model has no weights of two or more dimensions; there is nothing to penalise")
    return total


def _weights(model: nn.Module) -> Iterator[tuple[Tensor, Tensor | None, Quadratic | None]]:
    """Each weight once, with its response input and its square in it; None where it does not respond."""
    seen: set[int] = set()
    for module in model.modules():
        layer: Any = module
        h = scope_of(layer).h if getattr(layer, "norms", None) is not None and layer.num_hyper else None
        norms = {} if h is None else layer.norms()
        for name, parameter in module.named_parameters(recurse=False):
            if name.startswith("response_") or parameter.dim() < 2 or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            yield parameter, h if name in norms else None, norms.get(name)


def _whole_precision(model: nn.Module) -> AbstractContextManager[object]:
    """Autocast off: a norm over a million numbers is no business of half precision."""
    device = next((p.device.type for p in model.parameters()), "cpu")
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
