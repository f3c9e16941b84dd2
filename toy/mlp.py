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
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive
from autograd.tracer import getval, isbox

from toy.graph import place

Array = Any
"""A numpy array or an autograd box around one."""

NOISE_SD = 0.1  # of the Gaussian likelihood; the published code names it a variance and uses it as this
NLL_PER_MSE = 0.5 / NOISE_SD**2
NLL_FLOOR = math.log(NOISE_SD) + 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Layer:
    """Where a layer's [W; b] lies in a weight vector: entries start to stop, shaped (fan_in + 1, fan_out)."""

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


# ---- a linear network's mean squared error without its rows ----


@dataclass(frozen=True)
class Gram:
    """||XW - T||^2 = tr W'GW - 2 tr W'C + ||T||^2 with G = X'X, C = X'T: N rows for the price of D + 1.

    Exact to about 1e-13 relative unless the error is tiny beside the targets.
    """

    gram: np.ndarray
    """G (D + 1, D + 1)."""
    cross: np.ndarray
    """C, raveled as weight vectors are: (P,)."""
    total: float
    """||T||^2."""
    terms: int
    """N x out, how many squares the mean is over."""

    @classmethod
    def of(cls, rows: np.ndarray, targets: np.ndarray) -> Gram:
        """From augmented rows (N, D + 1) and targets (N, out)."""
        return cls(rows.T @ rows, (rows.T @ targets).ravel(), float(np.vdot(targets, targets)), targets.size)

    def along(self, basis: np.ndarray) -> Gram:
        """The same error as a quadratic form in the coefficients a of w = a @ basis: basis (K, P), then a (B, K)."""
        return Gram(_product(basis, self) @ basis.T, basis @ self.cross, self.total, self.terms)

    def mse(self, w: Array) -> Array:
        """Mean squared error of linear networks: (B, P) -> (B,). One product with G serves value and gradient."""
        return _quadratic(w, _product(getval(w), self), self)

    @cached_property
    def live(self) -> tuple[Any, np.ndarray]:
        """Where G is not zero, and G there: a sixth of MNIST's pixels are never lit."""
        lit = self.gram.diagonal() > 0.0
        return (slice(None), self.gram) if lit.all() else (np.flatnonzero(lit), self.gram[np.ix_(lit, lit)])


@primitive
def _product(w: Array, quadratic: Gram) -> Array:
    """G W of every weight vector, in one matrix product: (B, P) -> (B, P)."""
    live, gram = quadratic.live
    product = np.zeros((len(w), len(quadratic.gram), w.shape[1] // len(quadratic.gram)))
    matrices = w.reshape(product.shape)[:, live]
    if len(w) == 1:
        product[0, live] = (matrices[0].T @ gram).T  # G is symmetric; from this side it is 30 % faster
    else:  # side by side, because a product for each network is 5 times slower
        wide = gram @ matrices.transpose(1, 0, 2).reshape(len(gram), -1)
        product[:, live] = wide.reshape(len(gram), len(w), -1).transpose(1, 0, 2)
    return product.reshape(w.shape)


defvjp(_product, lambda ans, w, quadratic: lambda g: _product(g, quadratic), argnums=(0,))


@primitive
def _quadratic(w: Array, product: np.ndarray, quadratic: Gram) -> Array:
    return (np.einsum("bp,bp->b", w, product) - 2.0 * (w @ quadratic.cross) + quadratic.total) / quadratic.terms


def _quadratic_w(ans: Array, w: Array, product: np.ndarray, quadratic: Gram) -> Callable[[Array], Array]:
    def vjp(g: Array) -> Array:
        residual = (_product(w, quadratic) if isbox(w) else product) - quadratic.cross
        return (2.0 / quadratic.terms * g)[:, None] * residual

    return vjp


defvjp(_quadratic, _quadratic_w, argnums=(0,))
