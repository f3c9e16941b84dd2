"""A watch on a held-out split: hyperparameters, too, can be fitted to the noise of the validation set."""

from __future__ import annotations

import warnings
from typing import Any


class OverTuningWarning(UserWarning):
    """The validation loss still falls while the loss on a held-out split has been rising."""


class OverTuning:
    """Warns once, with the figures, when the held-out loss has been above its best for `patience` evaluations.

    "Above" means by more than `margin` of the best, while the validation loss is below what it was then. Nothing is
    chosen by the held-out loss: it only speaks.
    """

    def __init__(self, patience: int = 5, margin: float = 0.02) -> None:
        self.patience, self.margin = patience, margin
        self._best: list[float] = []  # step, validation and held-out loss at the best held-out loss
        self._above = 0
        self._told = False

    def update(self, step: int, valid: float, held: float) -> bool:
        """Take note of an evaluation; whether this one made it warn."""
        if not self._best or held < self._best[2]:
            self._best, self._above = [step, valid, held], 0
            return False
        _, valid_then, held_then = self._best
        worse = held > held_then + self.margin * abs(held_then) and valid < valid_then
        self._above = self._above + 1 if worse else 0
        if self._told or self._above < self.patience:
            return False
        self._told = True
        warnings.warn(self._sentence(step, valid, held), OverTuningWarning, stacklevel=2)
        return True

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"best": list(self._best), "above": self._above, "told": self._told}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self._best, self._above, self._told = list(state["best"]), state["above"], state["told"]

    def _sentence(self, step: int, valid: float, held: float) -> str:
        then, valid_then, held_then = self._best
        return (
            f"the hyperparameters are being over-tuned to the validation set: from step {then:g} to {step} its loss "
            f"fell from {valid_then:.4g} to {valid:.4g} while the held-out loss rose from {held_then:.4g} to "
            f"{held:.4g}; use a larger validation split, fewer hyperparameters, or stop near step {then:g}"
        )
