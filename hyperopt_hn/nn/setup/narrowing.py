"""Perturbations on a log scale: wide while a run looks for the right decade, narrow once it is there.

Over many decades the best weights are no straight line in λ: a response learned from perturbations of five decades has
a slope, at the best value, that is not zero. One learned within a decade has, but knows nothing of the rest, and λ̂
stays where a penalty does nothing. So the spread begins wide. Ours; what it is worth: docs/split.md.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.transforms import inv_softplus

REACHED = 2 / 3
"""The share of a run after which a spread that began at its full width would be 0, if nothing held it."""


class Narrowing:
    """Brings the spreads of log hyperparameters from `spread` raw units down to `decades`, in a straight line.

    Stepped after each train step. Before `begin` has said how long a run is, it leaves the spreads as they are; those
    of hyperparameters with a spread of their own are never touched.
    """

    by_loss: Literal[False] = False

    def __init__(self, hypers: Hypers, spread: float, decades: float) -> None:
        self.hypers = hypers
        first, last = hypers.space.spreads(spread), hypers.space.spreads(spread, decades)
        self._places = torch.as_tensor(np.flatnonzero(first > last)).to(hypers.rho.device)
        moved = first > last
        self._first, self._last = torch.as_tensor(first[moved]), torch.as_tensor(last[moved])
        self.steps, self.done = 0, 0

    @property
    def moves(self) -> bool:
        """Whether there is anything to narrow."""
        return len(self._first) > 0

    def begin(self, steps: int) -> None:
        """A run of so many train steps begins; one that has begun already goes on as it was."""
        if self.steps == 0:
            self.steps = steps
            self._apply()

    def step(self) -> None:
        """A train step is done."""
        if self.steps:
            self.done += 1
            if REACHED * self.steps >= self.done - 1:
                self._apply()

    def state_dict(self) -> dict[str, Any]:
        """How far it is."""
        return {"steps": self.steps, "done": self.done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; the spreads themselves are λ's."""
        self.steps, self.done = int(state_dict["steps"]), int(state_dict["done"])

    @torch.no_grad()
    def _apply(self) -> None:
        left = max(0.0, 1.0 - self.done / (REACHED * self.steps))
        sigma = torch.maximum(self._first * left, self._last)
        self.hypers.rho[self._places] = inv_softplus(sigma, torch).to(self.hypers.rho)
