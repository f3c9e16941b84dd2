"""The published toy loops, slow and obvious: one hyperparameter at a time, networks as lists of (W, b), rows in full.

Written after Lorraine & Duvenaud 2018 and what their code computes, with its random streams; the truth that `toy`
is tested and timed against. Nothing here is batched, cached or done in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import autograd.numpy as anp
import autograd.scipy.stats.norm as gaussian
import numpy as np
from autograd import grad
from autograd.misc.flatten import flatten

Layers = list[tuple[Any, Any]]
Data = tuple[np.ndarray, np.ndarray]


def draw_layers(sizes: tuple[int, ...], scale: float, rng: np.random.RandomState) -> Layers:
    """(W, b) for each layer, W first."""
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        weight = rng.randn(fan_in, fan_out) * scale
        layers.append((weight, rng.randn(fan_out) * scale))
    return layers


def outputs(layers: Layers, inputs: Any) -> Any:
    """A network with ReLU between its layers."""
    for position, (weight, bias) in enumerate(layers):
        if position:
            inputs = anp.maximum(inputs, 0.0)
        inputs = anp.dot(inputs, weight) + bias
    return inputs


def prediction_loss(layers: Layers, data: Data) -> Any:
    """Mean negative log density of N(target, 0.1^2) over every output of every row."""
    inputs, targets = data
    return -anp.mean(gaussian.logpdf(outputs(layers, inputs), targets, 0.1))


def unsquared_norm(layers: Layers, lam: Any) -> Any:
    """exp(lam) ||(W, b)||_2, not squared, biases included."""
    return anp.exp(lam) * anp.sqrt(anp.sum(flatten(layers)[0] ** 2))


def column_norms(layers: Layers, lam: Any) -> Any:
    """A tenth of sum_i exp(lam_i) ||W[:, i]||_2, biases left out."""
    ((weight, _),) = layers
    return sum(anp.exp(lam[i]) * anp.sqrt(anp.sum(weight[:, i] ** 2)) for i in range(weight.shape[1])) / 10.0


def squared_weights(layers: Layers, lam: Any) -> Any:
    """mean_j exp(lam_j) w_j^2 over all weights and biases."""
    return anp.mean(anp.exp(lam) * flatten(layers)[0] ** 2)


@dataclass
class SlowAdam:
    """Textbook Adam on one flat vector; `stuck` leaves its counter at the first step, as the published local run."""

    lr: float
    stuck: bool = False
    t: int = 0
    m: Any = 0.0
    v: Any = 0.0

    def step(self, x: Any, g: Any) -> Any:
        """The next x."""
        self.t = 1 if self.stuck else self.t + 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        m_hat, v_hat = self.m / (1.0 - 0.9**self.t), self.v / (1.0 - 0.999**self.t)
        return x - self.lr * m_hat / (np.sqrt(v_hat) + 1e-8)


@dataclass
class Loops:
    """A hypernetwork from one raw hyperparameter to a network `sizes`, and its losses one hyperparameter at a time."""

    train: Data
    valid: Data
    test: Data
    sizes: tuple[int, ...]
    hidden: tuple[int, ...]
    scale: float = 0.01
    seed: int = 7
    phi: Layers = field(init=False)
    unflatten: Callable[[Any], Layers] = field(init=False)

    def __post_init__(self) -> None:
        flat, self.unflatten = flatten(draw_layers(self.sizes, self.scale, np.random.RandomState(self.seed)))
        self.phi = draw_layers((1, *self.hidden, len(flat)), self.scale, np.random.RandomState(self.seed))

    def network(self, phi: Layers, lam: Any) -> Layers:
        """w_phi(lam) as (W, b) pairs."""
        return self.unflatten(anp.ravel(outputs(phi, anp.reshape(lam, (1, 1)))))

    def train_objective(self, phi: Layers, lam: Any) -> Any:
        """L_T(w_phi(lam), lam)."""
        layers = self.network(phi, lam)
        return prediction_loss(layers, self.train) + unsquared_norm(layers, lam)

    def mean_objective(self, phi: Layers, lams: np.ndarray) -> Any:
        """L_T averaged over sampled hyperparameters."""
        return sum(self.train_objective(phi, lam) for lam in lams) / len(lams)

    def losses(self, lam: float) -> tuple[float, float, float]:
        """Train objective, validation and test loss of w_phi(lam), on all rows."""
        return (float(self.train_objective(self.phi, lam)),
                float(prediction_loss(self.network(self.phi, lam), self.valid)),
                float(prediction_loss(self.network(self.phi, lam), self.test)))  # fmt: skip

    def curve(self, lams: np.ndarray) -> np.ndarray:
        """`losses` at each of lams: (L, 3)."""
        return np.array([self.losses(lam) for lam in lams])

    def global_step(self, adam: SlowAdam, step: int) -> None:
        """Ten lam ~ clip(N(1, 3^2), -100, 4) of RandomState(step), one Adam step on phi."""
        rng = np.random.RandomState(step)
        lams = np.array([np.clip(rng.randn() * 3.0 + 1.0, -100.0, 4.0) for _ in range(10)])
        gradient, _ = flatten(grad(self.mean_objective)(self.phi, lams))
        flat, unflatten = flatten(self.phi)
        self.phi = unflatten(adam.step(flat, gradient))

    def callback(self, lam: float, gradient: Layers) -> tuple[float, ...]:
        """What the published code computes at every iteration and does not show."""
        train, valid, test = self.losses(lam)
        fit = train - float(unsquared_norm(self.network(self.phi, lam), lam))
        return train, valid, test, fit, sum(float(np.abs(w).sum() + np.abs(b).sum()) for w, b in gradient)

    def local_iteration(self, adam: SlowAdam, lam: float, callback: bool = True) -> tuple[float, tuple[float, ...]]:
        """One SGD step on phi at ten equal lam, one Adam step on lam: the next lam, and the losses before."""
        gradient = grad(self.mean_objective)(self.phi, np.full(10, lam))
        seen = self.callback(lam, gradient)[:3] if callback else ()
        flat, unflatten = flatten(self.phi)
        self.phi = unflatten(flat - 1e-4 * flatten(gradient)[0])
        slope = grad(lambda at: prediction_loss(self.network(self.phi, at), self.valid))(lam)
        return float(adam.step(lam, slope)), seen
