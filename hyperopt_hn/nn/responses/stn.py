"""STN: the response's input is λ, raw or in natural units, and all of φ is trained jointly on perturbed λ.

Source: MacKay et al. 2019, Alg. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import at
from hyperopt_hn.nn.responses.base import Bench, Phase, Slope, slope
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.hypers import Hypers


@dataclass(frozen=True)
class STN:
    """w_φ(λ) = W + diag(V λ) R, layer by layer; `natural`: V r(λ), r(λ) the natural values.

    The published code feeds raw λ but for its language model with all hyperparameters tuned, where it feeds r(λ).
    """

    natural: bool = False
    phases: tuple[Phase, ...] = (Phase("all", perturbed=True),)
    needs_train_batch: bool = False

    def view(self, bench: Bench, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """The model at λ."""
        return at(bench.bare, lam, self.centre(bench, lam), values=bench.fixed)

    def centre(self, bench: Bench, lam: Tensor) -> Tensor | None:
        """None where the response's input is λ itself."""
        return lam - _natural(bench.hypers, lam) if self.natural else None

    def held(self, bench: Bench, lam: Tensor) -> AbstractContextManager[object]:
        """The response stays at λ̂."""
        mean = bench.hypers.lam.detach()
        return at(bench.bare, lam, lam - (_natural(bench.hypers, mean) if self.natural else mean), values=bench.fixed)

    def tune(self, bench: Bench, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V and its gradient by one backward pass through the response."""
        return slope(bench, self.view(bench, lam, perturbed), lam, batches[0])


def _natural(hypers: Hypers, lam: Tensor) -> Tensor:
    """r(λ) in λ's shape and order; UserError for a discrete hyperparameter, whose steps have no slope."""
    space = hypers.space
    values = space.values(lam, torch)
    parts = []
    for name in space.tuned:
        if space[name].grid is not None:
            raise UserError(f"{name!r} is discrete, so that its natural value has no slope; feed raw λ instead")
        parts.append(values[name] if space[name].size is not None else values[name].unsqueeze(-1))
    return torch.cat(parts, -1)
