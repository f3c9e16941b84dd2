"""ASGD, AWD-LSTM's option: from the day that the loss stops falling, the mean of the weights is what is evaluated.

Source: Merity et al. 2018, sec. 3.1 (there the averaging takes the place of the decay of the rate).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.nn import NonMonotone, TorchTuner


class Averaged:
    """A `Tuner` around a TorchTuner that averages φ after each train step once the non-monotone rule has fired.

    Training and tuning go on at the weights themselves; evaluation and `collapsed` take their mean.
    """

    def __init__(self, tuner: TorchTuner, window: int) -> None:
        self.tuner = tuner
        self._rule = NonMonotone(tuner.optimizers.phis()[0], window, 1.0)
        self._mean: dict[str, Tensor] = {}
        self._count = 0

    def train_step(self) -> dict[str, float]:
        """One step on φ, and on its mean."""
        report = self.tuner.train_step()
        if self._mean:
            self._count += 1
            with torch.no_grad():
                for name, parameter in self._parameters():
                    self._mean[name].lerp_(parameter, 1.0 / self._count)
        return report

    def tune_step(self) -> dict[str, float]:
        """One step on λ̂."""
        return self.tuner.tune_step()

    def evaluate(self) -> dict[str, float]:
        """As TorchTuner's, at the mean once there is one; the record has whether there is as `averaged`, 0 or 1.

        The rule looks at the losses of the weights themselves, and only until it fires.
        """
        with self.at_mean():
            found = self.tuner.evaluate()
        if not self._mean:
            self._rule.step(found["valid_loss"])
            if self._rule.fired:
                self._mean = {name: p.detach().clone() for name, p in self._parameters()}
                self._count = 1
        return {**found, "averaged": float(self._count > 0)}

    def hypers(self) -> dict[str, float | int | list[float]]:
        """The present hyperparameters."""
        return self.tuner.hypers()

    def collapsed(self, values: Mapping[str, Any] | None = None) -> nn.Module:
        """The ordinary model at the mean weights."""
        with self.at_mean():
            return self.tuner.collapsed(values)

    def arrays(self) -> dict[str, Any]:
        """As TorchTuner's."""
        return self.tuner.arrays()

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on; all ranks must call it together."""
        mean = {name: value.cpu().clone() for name, value in self._mean.items()}
        rule = {"losses": list(self._rule.losses), "fired": self._rule.fired}
        return {"tuner": self.tuner.state(), "mean": mean, "count": self._count, "rule": rule}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state()` was taken."""
        self.tuner.load_state(state["tuner"])
        device = next(self.tuner.losses.bare.parameters()).device
        self._mean = {name: value.clone().to(device) for name, value in state["mean"].items()}
        self._count = state["count"]
        self._rule.losses, self._rule.fired = list(state["rule"]["losses"]), state["rule"]["fired"]

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self.tuner.losses.bare.named_parameters()

    @contextmanager
    def at_mean(self) -> Iterator[None]:
        """Inside, the weights are their mean."""
        if not self._mean:
            yield
            return
        here = dict(self._parameters())
        with torch.no_grad():
            kept = {name: p.detach().clone() for name, p in here.items()}
            for name, p in here.items():
                p.copy_(self._mean[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, p in here.items():
                    p.copy_(kept[name])
