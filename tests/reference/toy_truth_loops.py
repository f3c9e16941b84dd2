"""The published truth and its hypernetworks, slow and obvious: one network after another, autograd over (W, b).

Written after Lorraine & Duvenaud 2018, sec. 4.1 and 4.5, and what their code computes, in its order of random draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad
from autograd.misc.flatten import flatten

from tests.reference.toy_loops import (
    Data,
    Layers,
    SlowAdam,
    column_norms,
    draw_layers,
    outputs,
    prediction_loss,
    unsquared_norm,
)

LR = 1e-4
CALLBACK = 10


def descend(objective: Callable[[Layers], Any], layers: Layers, steps: int, watch: bool = False) -> Layers:
    """Adam from `layers`; `watch` evaluates the objective once more at every tenth step, as a progress line does."""
    flat, unflatten = flatten(layers)
    adam = SlowAdam(LR)
    for step in range(steps):
        gradient, _ = flatten(grad(objective)(unflatten(flat)))
        if watch and step % CALLBACK == 0:
            objective(unflatten(flat))
        flat = adam.step(flat, gradient)
    return unflatten(flat)


def crossval_network(train: Data, lam: float, steps: int, seed: int = 7) -> Layers:
    """A linear network trained to convergence under exp(lam) ||(W, b)||."""
    layers = draw_layers((train[0].shape[1], train[1].shape[1]), 0.01, np.random.RandomState(seed))
    return descend(lambda net: prediction_loss(net, train) + unsquared_norm(net, lam), layers, steps)


def crossval_losses(train: Data, valid: Data, lam: float, steps: int) -> tuple[float, float]:
    """Its train objective and its validation loss."""
    net = crossval_network(train, lam, steps)
    return float(prediction_loss(net, train) + unsquared_norm(net, lam)), float(prediction_loss(net, valid))


@dataclass
class Scatter:
    """The experiment of sec. 4.5 on one random stream."""

    train: Data
    valid: Data
    window: int = 100
    steps: int = 1000
    seed: int = 7
    rng: np.random.RandomState = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.RandomState(self.seed)
        self.sizes = (self.train[0].shape[1], self.train[1].shape[1])
        flat, self.unflatten = flatten(self.fresh(self.sizes))
        self.weights = len(flat)

    def fresh(self, sizes: tuple[int, ...]) -> Layers:
        """Initial layers, the same every time."""
        return draw_layers(sizes, 1e-5, np.random.RandomState(self.seed))

    def uniform(self) -> np.ndarray:
        """One hyperparameter vector."""
        return self.rng.rand(self.sizes[1]) * 6.0 - 3.0

    def objective(self, net: Layers, lam: Any) -> Any:
        """The loss on a window that starts anywhere but at the last place, and the penalty."""
        start = self.rng.randint(len(self.train[0]) - self.window)
        rows = slice(start, start + self.window)
        return prediction_loss(net, (self.train[0][rows], self.train[1][rows])) + column_norms(net, lam)

    def true_loss(self) -> tuple[np.ndarray, float]:
        """The next network: its lam and its validation loss."""
        lam = self.uniform()
        net = descend(lambda w: self.objective(w, lam), self.fresh(self.sizes), self.steps)
        return lam, float(prediction_loss(net, self.valid))

    def network(self, phi: Layers, lam: Any) -> Layers:
        """w_phi(lam) of a linear hypernetwork."""
        return self.unflatten(outputs(phi, anp.array([lam]))[0])

    def hypernet(self, lams: Callable[[], list[np.ndarray]], iterations: int) -> Layers:
        """A linear hypernetwork trained at what `lams` yields in every iteration."""

        def objective(phi: Layers) -> Any:
            drawn = lams()
            return sum(self.objective(self.network(phi, lam), lam) for lam in drawn) / len(drawn)

        return descend(objective, self.fresh((self.sizes[1], self.weights)), iterations, watch=True)

    def stochastic(self, count: int, iterations: int) -> Layers:
        """Trained at `count` fresh lam in every iteration."""
        return self.hypernet(lambda: [self.uniform() for _ in range(count)], iterations)

    def fixed(self, known: np.ndarray, iterations: int) -> Layers:
        """Trained at the same lam in every iteration."""
        return self.hypernet(lambda: list(known), iterations)

    def predict(self, phi: Layers, lams: np.ndarray) -> np.ndarray:
        """Validation loss of w_phi(lam), one lam after another."""
        return np.array([prediction_loss(self.network(phi, lam), self.valid) for lam in lams])
