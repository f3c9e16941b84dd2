"""The elementary network and its losses, for a batch of weight vectors at once.

Legend: B weight vectors, N rows, D inputs, P weights. A weight vector holds, layer by layer, W (in, out) row by row
and then b (out): that is the matrix [W; b] row by row, so a linear network is one product of rows that end in a one
with a view of w. Every function takes w (B, P) and returns one number per weight vector.
The losses are those of Lorraine & Duvenaud 2018 as their code computes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive

from toy.network.graph import place

Array = Any
"""A numpy array or an autograd box around one."""

NOISE_SD = 0.1  # of the Gaussian likelihood; the published code names it a variance and uses it as this
NLL_PER_MSE = 0.5 / NOISE_SD**2
NLL_FLOOR = math.log(NOISE_SD) + 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Layer:
    """Where a layer's [W; b] is in a weight vector: entries start to stop, shaped (fan_in + 1, fan_out)."""

    start: int
    fan_in: int
    fan_out: int

    @property
    def stop(self) -> int:
        """One past its last entry."""
        return self.start + (self.fan_in + 1) * self.fan_out

    def matrix(self, w: np.ndarray) -> np.ndarray:
        """Its [W; b] as a view: (B, P) -> (B, fan_in + 1, fan_out)."""
        return w[:, self.start : self.stop].reshape(len(w), self.fan_in + 1, self.fan_out)


@lru_cache
def layers(sizes: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layers of a network with these sizes, inputs first."""
    found: list[Layer] = []
    for fan_in, fan_out in pairwise(sizes):
        found.append(Layer(found[-1].stop if found else 0, fan_in, fan_out))
    return tuple(found)


def count(sizes: Sequence[int]) -> int:
    """How many weights and biases the network has: 7,850 for (784, 10)."""
    return layers(tuple(sizes))[-1].stop


def init(sizes: Sequence[int], scale: float, rng: np.random.RandomState) -> np.ndarray:
    """One weight vector (P,), every entry N(0, scale^2), drawn in the published order."""
    return scale * rng.randn(count(sizes))  # W then b, layer by layer: the order of one flat draw


def augment(inputs: np.ndarray) -> np.ndarray:
    """Rows that end in a one, so that [W; b] applies at once: (N, D) -> (N, D + 1)."""
    rows = np.empty((inputs.shape[0], inputs.shape[1] + 1))
    rows[:, :-1] = inputs
    rows[:, -1] = 1.0
    return rows


def predict(w: Array, rows: np.ndarray, sizes: tuple[int, ...]) -> Array:
    """Outputs of the networks w (B, P) on augmented rows (N, D + 1): (B, N, out). Hidden units are ReLU."""
    first, *rest = layers(sizes)
    outputs = apply_rows(w, rows, first)
    for layer in rest:
        outputs = apply_hidden(w, relu(outputs), layer)
    return outputs


def mse(w: Array, rows: np.ndarray, targets: np.ndarray, sizes: tuple[int, ...]) -> Array:
    """Mean squared error over all N x out outputs: w (B, P) -> (B,)."""
    return mean_square(predict(w, rows, sizes), targets)


@primitive
def gaussian_nll(mean_squared_error: Array) -> Array:
    """The mean negative log density of N(target, 0.1^2): 50 mse + ln 0.1 + ln(2 pi) / 2, never below -1.38365."""
    return NLL_PER_MSE * mean_squared_error + NLL_FLOOR


defvjp(gaussian_nll, lambda ans, mean_squared_error: lambda g: NLL_PER_MSE * g)


# ---- pieces whose derivatives autograd would take by copying; each vjp is itself differentiable ----


@primitive
def apply_rows(w: Array, rows: np.ndarray, layer: Layer) -> Array:
    """rows @ [W; b] of the first layer, all weight vectors on the same rows: (B, N, fan_out)."""
    return rows @ layer.matrix(w)


def _apply_rows_w(ans: Array, w: Array, rows: np.ndarray, layer: Layer) -> Callable[[Array], Array]:
    batch, size = w.shape

    def vjp(g: Array) -> Array:
        flat = anp.reshape(anp.matmul(rows.T, g), (batch, -1))
        return flat if layer.stop == size else place(flat, layer.start, size)

    return vjp


defvjp(apply_rows, _apply_rows_w, argnums=(0,))


@primitive
def apply_hidden(w: Array, hidden: Array, layer: Layer) -> Array:
    """hidden @ W + b of a later layer: hidden (B, N, fan_in) -> (B, N, fan_out)."""
    matrix = layer.matrix(w)
    outputs = hidden @ matrix[:, :-1]
    outputs += matrix[:, -1:]
    return outputs


def _apply_hidden_w(ans: Array, w: Array, hidden: Array, layer: Layer) -> Callable[[Array], Array]:
    batch, size = w.shape

    def vjp(g: Array) -> Array:
        weights = anp.matmul(anp.swapaxes(hidden, 1, 2), g)
        flat = anp.concatenate([anp.reshape(weights, (batch, -1)), anp.sum(g, axis=1)], axis=1)
        return place(flat, layer.start, size)

    return vjp


def _apply_hidden_h(ans: Array, w: Array, hidden: Array, layer: Layer) -> Callable[[Array], Array]:
    stop = layer.stop - layer.fan_out  # without the biases
    shape = (w.shape[0], layer.fan_in, layer.fan_out)
    return lambda g: anp.matmul(g, anp.swapaxes(anp.reshape(w[:, layer.start : stop], shape), 1, 2))


defvjp(apply_hidden, _apply_hidden_w, _apply_hidden_h, argnums=(0, 1))


@primitive
def relu(x: Array) -> Array:
    """max(x, 0), with derivative 0 at 0."""
    return np.maximum(x, 0.0)


defvjp(relu, lambda ans, x: lambda g: g * (ans > 0.0))


@primitive
def mean_square(outputs: Array, targets: np.ndarray) -> Array:
    """The mean of (outputs - targets)^2 over rows and outputs: (B, N, out) -> (B,)."""
    error = (outputs - targets).reshape(len(outputs), -1)
    return np.einsum("bi,bi->b", error, error) / targets.size


def _mean_square_outputs(ans: Array, outputs: Array, targets: np.ndarray) -> Callable[[Array], Array]:
    return lambda g: (2.0 / targets.size * g)[:, None, None] * (outputs - targets)


defvjp(mean_square, _mean_square_outputs, argnums=(0,))
