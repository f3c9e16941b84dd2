"""A learning-rate schedule by validation loss: the non-monotone rule, done right."""

from __future__ import annotations

from typing import Any, Literal

from torch.optim import Optimizer

from hyperopt_hn.errors import UserError


class NonMonotone:
    """Multiply the rates by `factor` when a loss exceeds the smallest of those before it but for the last `window`.

    A firing forgets the losses so far, so that the next one needs more than `window` new ones. (The published codes
    forget nothing: once true, their test fires at every evaluation and the rate collapses within four.) With factor 1
    it only counts, in `fired`. Raises UserError for a window below 1 and a factor outside (0, 1].
    Source: Merity et al. 2018, sec. 3.1; MacKay et al. 2019, appendix.
    """

    by_loss: Literal[True] = True

    def __init__(self, optimizer: Optimizer, window: int = 5, factor: float = 0.25) -> None:
        if window < 1 or not 0.0 < factor <= 1.0:
            raise UserError(f"a window of {window} losses and a factor of {factor:g}: give at least 1 and (0, 1]")
        self.optimizer, self.window, self.factor = optimizer, window, factor
        self.losses: list[float] = []
        self.fired = 0

    def step(self, metrics: float) -> None:
        """Look at one more loss."""
        loss = float(metrics)
        if len(self.losses) > self.window and loss > min(self.losses[: -self.window]):
            self.fired += 1
            self.losses = []
            for group in self.optimizer.param_groups:
                group["lr"] = group["lr"] * self.factor
        else:
            self.losses.append(loss)

    def state_dict(self) -> dict[str, Any]:
        """Its window and factor, the losses since the last firing and the number of firings."""
        losses = list(self.losses)
        return {"window": self.window, "decay_factor": self.factor, "losses": losses, "fired": self.fired}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a state was taken; earlier versions' states hold more, which no rule of this one asks."""
        self.window, self.factor = state_dict["window"], state_dict["decay_factor"]
        self.losses, self.fired = list(state_dict["losses"]), state_dict["fired"]
