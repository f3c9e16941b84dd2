"""A learning-rate schedule by validation loss: the non-monotone rule, done right."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from hyperopt_hn.errors import UserError


class NonMonotone(ReduceLROnPlateau):
    """Multiply the rates by `factor` when a loss exceeds the smallest of those before it but for the last `window`.

    A firing forgets the losses so far, so that the next one needs more than `window` new ones. (The published codes
    forget nothing: once true, their test fires at every evaluation and the rate collapses within four.) With factor 1
    it only counts, in `fired`. It is a ReduceLROnPlateau to whoever steps it, with the validation loss.
    Source: Merity et al. 2018, sec. 3.1; MacKay et al. 2019, appendix.
    """

    def __init__(self, optimizer: Optimizer, window: int = 5, factor: float = 0.25) -> None:
        if window < 1 or not 0.0 < factor <= 1.0:
            raise UserError(f"a window of {window} losses and a factor of {factor:g}: give at least 1 and (0, 1]")
        self.window, self.decay_factor = window, factor
        self.losses: list[float] = []
        self.fired = 0
        super().__init__(optimizer, factor=0.5)  # its own rule is never asked

    def step(self, metrics: Any, epoch: Any = None) -> None:  # type: ignore[override]
        """Look at one more validation loss."""
        loss = float(metrics)
        if len(self.losses) > self.window and loss > min(self.losses[: -self.window]):
            self.fired += 1
            self.losses = []
            for group in self.optimizer.param_groups:
                group["lr"] = group["lr"] * self.decay_factor
        else:
            self.losses.append(loss)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
