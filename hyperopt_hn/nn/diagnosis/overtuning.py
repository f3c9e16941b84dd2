"""A watch on the test split: hyperparameters, too, can be fitted to the noise of the validation set."""

from __future__ import annotations

import warnings
from typing import Any


class OverTuningWarning(UserWarning):
    """The validation loss still falls while the test loss has been rising."""


class OverTuning:
    """Warns once, with the figures, when the test loss has been above its best for `patience` evaluations.

    "Above" means by more than `margin` of the best, while the validation loss is below what it was then. Nothing is
    chosen by the test loss: it only speaks.
    """

    def __init__(self, patience: int = 5, margin: float = 0.02) -> None:
        self.patience, self.margin = patience, margin
        self._best: list[float] = []  # step, validation and test loss at the best test loss
        self._above = 0
        self._told = False

    def update(self, step: int, valid: float, test: float) -> bool:
        """Take note of an evaluation; whether this one made it warn."""
        if not self._best or test < self._best[2]:
            self._best, self._above = [step, valid, test], 0
            return False
        _, valid_then, test_then = self._best
        worse = test > test_then + self.margin * abs(test_then) and valid < valid_then
        self._above = self._above + 1 if worse else 0
        if self._told or self._above < self.patience:
            return False
        self._told = True
        warnings.warn(self._sentence(step, valid, test), OverTuningWarning, stacklevel=2)
        return True

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"best": list(self._best), "above": self._above, "told": self._told}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self._best, self._above, self._told = list(state["best"]), state["above"], state["told"]

    def _sentence(self, step: int, valid: float, test: float) -> str:
        then, valid_then, test_then = self._best
        return (
            f"the hyperparameters are being over-tuned to the validation set: from step {then:g} to {step} its loss "
            f"fell from {valid_then:.4g} to {valid:.4g} while the test loss rose from {test_then:.4g} to "
            f"{test:.4g}; use a larger validation split, fewer hyperparameters, or stop near step {then:g}"
        )
