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
from hyperopt_hn.nn.context import Fed, at
from hyperopt_hn.nn.responses.base import Losses, Phase, Slope, slope
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.hypers import Hypers


@dataclass(frozen=True)
class STN:
    """w_φ(λ) = W + diag(V h) R, layer by layer, h = λ; `natural`: h = r(λ), the natural values.

    The published code feeds raw λ but for its language model with all hyperparameters tuned, where it feeds r(λ).
    `centred` (not published): h is measured from its value at λ̂. Uncentred, every entry of V is pushed by λ̂ itself,
    so that hyperparameters which start near one value move in lockstep.
    """

    natural: bool = False
    centred: bool = False
    phases: tuple[Phase, ...] = (Phase("all", perturbed=True),)
    needs_train_batch: bool = False

    @property
    def fed(self) -> Fed:
        """Natural values are the tuner's to make."""
        return "other" if self.natural else "centred" if self.centred else "raw"

    def view(self, losses: Losses, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """The model at λ."""
        return at(losses.bare, lam, h=self.input(losses, lam), values=losses.fixed)

    def input(self, losses: Losses, lam: Tensor) -> Tensor:
        """λ or r(λ), as it is or less its value at λ̂."""
        own = self._fed(losses, lam)
        return own - self._fed(losses, losses.hypers.lam.detach()) if self.centred else own

    def unmoved(self, losses: Losses, lam: Tensor) -> AbstractContextManager[object]:
        """The response stays at λ̂."""
        return at(losses.bare, lam, h=self.input(losses, losses.hypers.lam.detach()), values=losses.fixed)

    def _fed(self, losses: Losses, lam: Tensor) -> Tensor:
        return _natural(losses.hypers, lam) if self.natural else lam

    def tune(self, losses: Losses, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V and its gradient by one backward pass through the response."""
        return slope(losses, self.view(losses, lam, perturbed), lam, batches[0])


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
