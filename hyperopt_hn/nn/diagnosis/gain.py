"""Response gain: does the learned response help where it claims to? Measured on training batches while a run goes on.

At λ̂ ± e_j (one raw unit of one hyperparameter) the training loss with the weights held at λ̂, minus the same with the
weights that the response gives, the same masks in both. What a response knows makes the difference positive; t is its
mean over its standard error. Below 1 the response can hardly be told from noise, nor can λ̂'s gradient;
below 0 it predicts worse than none.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from hyperopt_hn.nn.responses import Implicit, Losses, Response
from hyperopt_hn.nn.responses.base import kept_buffers, training
from hyperopt_hn.nn.setup.batches import Source
from hyperopt_hn.nn.setup.random_states import random_state, set_random_state

WINDOW = 24
"""Pairs that a t is taken over, the latest ones."""
FEWEST = 6
"""Pairs without which there is no t."""
BATCHES = 8
"""Training batches that the pairs are measured on, the first of a pass over the data."""
FORWARD = 1 / 3
"""What a forward pass costs, in plain training steps."""


class ResponseGain:
    """Pairs of losses for each tuned hyperparameter, measured in turn; `share` of the training work goes into them."""

    def __init__(self, names: tuple[str, ...], share: float, seed: int) -> None:
        self.share, self.seed = share, seed
        self._pairs = {name: deque[float](maxlen=WINDOW) for name in names}
        self._done, self._spent = 0, 0.0

    def measure(self, losses: Losses, response: Response, train: Source, steps: int) -> None:
        """As many pairs as `steps` training steps have earned; weights, buffers and random streams stay as they are.

        `train` gives the batches; one that gives none (a loop of one's own that holds the data) leaves t unknown.
        """
        count = int((self.share * steps - self._spent) / (2 * FORWARD))
        if count < 1 or not self._pairs or isinstance(response, Implicit):
            return
        self._spent += 2 * FORWARD * count
        kept = random_state(losses.hypers.lam.device)
        try:
            batches = list(islice(train.once(), BATCHES))
            if not batches:
                return
            with torch.no_grad(), training(losses.bare), kept_buffers(losses.bare):
                for _ in range(min(count, WINDOW * len(self._pairs))):
                    self._one(losses, response, batches)
        finally:
            set_random_state(kept, losses.hypers.lam.device)

    def t(self) -> dict[str, float]:
        """t of every hyperparameter that was measured often enough."""
        return {name: _t(list(pairs)) for name, pairs in self._pairs.items() if len(pairs) >= FEWEST}

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        pairs = {name: list(values) for name, values in self._pairs.items()}
        return {"pairs": pairs, "done": self._done, "spent": self._spent}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()`."""
        self._done, self._spent = state["done"], state["spent"]
        for name, values in state["pairs"].items():
            self._pairs[name] = deque(values, maxlen=WINDOW)

    def _one(self, losses: Losses, response: Response, batches: list[Any]) -> None:
        names = list(self._pairs)
        turn, name = self._done // len(names), names[self._done % len(names)]
        batch = batches[turn % len(batches)]
        lam = losses.hypers.lam.detach().clone()
        lam[losses.hypers.space.places[name]] += 1.0 if turn % 2 else -1.0
        rows = lam if losses.hypers.at_once else lam.expand(losses.problem.rows(batch), -1)
        unmoved = self._loss(losses, response.unmoved(losses, lam), batch, lam)
        with_response = self._loss(losses, response.view(losses, rows, True), batch, lam)
        if math.isfinite(unmoved) and math.isfinite(with_response):
            self._pairs[name].append(unmoved - with_response)
        self._done += 1

    def _loss(self, losses: Losses, view: AbstractContextManager[object], batch: Any, lam: Tensor) -> float:
        torch.manual_seed(self.seed * 1_000_003 + self._done)
        with view:
            return float(losses.train_loss(batch, lam))


def _t(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    return mean / (spread / math.sqrt(len(values)) + 1e-12)
