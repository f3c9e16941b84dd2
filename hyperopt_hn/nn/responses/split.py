"""Split: train the plain network at λ̂, and its response in steps of its own.

Δ-STN trains general weights at λ̂ and the response at perturbed λ, in every step and by one optimizer. As the response
is exactly zero at λ̂, the first half is plain training of the plain network and needs nothing of the second. Here the
two are apart: the train step costs what plain training costs, and every `every`-th is followed by a step of the
response parameters alone, on the same batch, with an optimizer of their own, outside the clipping and the schedule of
the weights. Ours, after Bae & Grosse 2020, sec. 4; what it is worth: docs/split.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from hyperopt_hn.config import check, described, option
from hyperopt_hn.nn.context import Fed
from hyperopt_hn.nn.responses.base import Losses, Phase, Slope
from hyperopt_hn.nn.responses.delta import Delta
from hyperopt_hn.nn.setup.batches import Batch


@described
@dataclass(frozen=True)
class Split:
    """w_φ(λ) = W + the response at λ - λ̂; W trained at λ̂ alone, the response every `every` train steps."""

    every: int = option(2, "train steps for each step of the response", unit="train steps", least=1)
    eager: int = option(100, "train steps at the start with a step of the response each", unit="train steps", least=0)
    share: float = option(
        1.0, "part of a batch's rows that a step of the response sees, where batches are cut by rows", above=0, most=1
    )
    groups: int = option(1, "parts of a batch with a draw each of the `shared` hyperparameters", unit="parts", least=1)
    linear: bool = option(False, "learn the response of first-order outputs, as Δ-STN does (needs forward mode)")
    position: bool = option(True, "feed the response how far λ is along its ranges; no: raw λ, as Δ-STN does")
    lr: float = option(3e-3, "rate of the response's Adam, where Optimizers names none for it", above=0)
    needs_train_batch: bool = False

    def __post_init__(self) -> None:
        check(self)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The general weights at λ̂ in every step, the response at perturbed λ in some."""
        response = Phase("response", True, self.every, self.groups, self.share, self.eager)
        return Phase("general", perturbed=False), response

    @property
    def fed(self) -> Fed:
        """As Δ-STN's."""
        return self._delta.fed

    def view(self, losses: Losses, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """The plain network at λ̂ itself, the responding one elsewhere: Δ-STN's."""
        return self._delta.view(losses, lam, perturbed)

    def input(self, losses: Losses, lam: Tensor) -> Tensor:
        """Their positions less those of λ̂, or λ - λ̂."""
        return self._delta.input(losses, lam)

    def unmoved(self, losses: Losses, lam: Tensor) -> AbstractContextManager[object]:
        """The general network."""
        return self._delta.unmoved(losses, lam)

    def tune(self, losses: Losses, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V and its gradient, as Δ-STN takes them."""
        return self._delta.tune(losses, lam, perturbed, batches)

    @property
    def _delta(self) -> Delta:
        """The same model of the response; only its training differs."""
        return Delta(self.linear, self.position)
