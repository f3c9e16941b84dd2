"""The natural values that a user's training loss sees: always tensors, always of the same shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.problem import TrainLoss
from hyperopt_hn.space import HyperSpace


def with_steady_shapes(loss: TrainLoss, space: HyperSpace, rows: Callable[[Batch], int]) -> TrainLoss:
    """The loss, its h[name] always () where `name` is shared, else (B,); vectors (size,) or (B, size).

    A training step at λ̂ itself, and a run with fixed values, would give numbers where a perturbed step gives (B,).
    """

    def steady(model: nn.Module, batch: Batch, h: Mapping[str, Any]) -> Tensor:
        like = next(p for p in model.parameters() if p.is_floating_point())
        return loss(model, batch, {name: _steady(value, name, batch, like) for name, value in h.items()})

    def _steady(value: Any, name: str, batch: Batch, like: Tensor) -> Tensor:
        hyper = space[name]
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float32, device=like.device)
        inner = 0 if hyper.size is None else 1
        if hyper.size is not None and tensor.dim() == 0:
            tensor = tensor.expand(hyper.size)
        return tensor if hyper.shared or tensor.dim() > inner else tensor.expand(rows(batch), *tensor.shape)

    return steady
