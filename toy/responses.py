"""Best responses w_phi(lam): models of the weights that training would reach under each hyperparameter vector.

A response is a frozen dataclass with `init(rng)` and a call `response(phi, lam)`: phi is a list of
arrays, lam (B, n) raw hyperparameters, the result (B, P) weight vectors, differentiable in both by autograd.
A new response needs that and `span`. Source: Lorraine & Duvenaud 2018, sec. 2 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from autograd.extend import defvjp, primitive

from toy.network.mlp import augment, relu

Array = Any


class WeightResponse(Protocol):
    """What a tuner asks of a response."""

    def init(self, rng: np.random.RandomState) -> list[np.ndarray]:
        """Fresh phi."""
        ...

    def __call__(self, phi: list[Array], lam: Array) -> Array:
        """Weights for each row of lam: (B, n) -> (B, P)."""
        ...

    def span(self, phi: list[np.ndarray], lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same weights as coefficients (B, K) @ basis (K, P), for cheap curves; at worst np.eye(B) @ weights."""
        ...


@dataclass(frozen=True)
class LinearResponse:
    """n-P: right only near the hyperparameters it is trained around (the local hypernetwork)."""

    n: int
    weights: int
    scale: float = 0.01

    def init(self, rng: np.random.RandomState) -> list[np.ndarray]:
        """[W (n, P), b (P,)], every entry N(0, scale^2) in the published order."""
        return _draw(rng, self.scale, (self.n, self.weights))

    def __call__(self, phi: list[Array], lam: Array) -> Array:
        """(B, n) -> (B, P)."""
        return affine(lam, phi[0], phi[1])

    def span(self, phi: list[np.ndarray], lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (B, K), basis (K, P): the last layer's inputs and its [W; b]."""
        return augment(lam), np.vstack(phi[0:])


@dataclass(frozen=True)
class MLPResponse:
    """n-hidden-P with ReLU: fits the whole curve (the global hypernetwork)."""

    n: int
    weights: int
    hidden: int = 50
    scale: float = 0.01

    def init(self, rng: np.random.RandomState) -> list[np.ndarray]:
        """[W1, b1, W2, b2], every entry N(0, scale^2) in the published order."""
        return _draw(rng, self.scale, (self.n, self.hidden, self.weights))

    def __call__(self, phi: list[Array], lam: Array) -> Array:
        """(B, n) -> (B, P)."""
        return affine(relu(affine(lam, phi[0], phi[1])), phi[2], phi[3])

    def span(self, phi: list[np.ndarray], lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (B, K), basis (K, P): the last layer's inputs and its [W; b]."""
        return augment(relu(affine(lam, phi[0], phi[1]))), np.vstack(phi[2:])


@dataclass(frozen=True)
class FactorisedResponse:
    """n-rank-P, linear: a response of low rank for one hyperparameter per weight."""

    n: int
    weights: int
    rank: int = 10
    scale: float = 0.01
    start: float | None = None
    """sd of the last bias, which is the weights at raw hyperparameter 0; None: `scale`, as published."""

    def init(self, rng: np.random.RandomState) -> list[np.ndarray]:
        """[W1, b1, W2, b2], every entry N(0, scale^2) in the published order, b2 N(0, start^2)."""
        phi = _draw(rng, self.scale, (self.n, self.rank, self.weights))
        if self.start is not None:
            phi[-1] *= self.start / self.scale
        return phi

    def __call__(self, phi: list[Array], lam: Array) -> Array:
        """(B, n) -> (B, P)."""
        return affine(affine(lam, phi[0], phi[1]), phi[2], phi[3])

    def span(self, phi: list[np.ndarray], lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (B, K), basis (K, P): the last layer's inputs and its [W; b]."""
        return augment(affine(lam, phi[0], phi[1])), np.vstack(phi[2:])


@primitive
def affine(x: Array, weight: Array, bias: Array) -> Array:
    """x W + b for x (B, in), W (in, out), b (out,)."""
    out = x @ weight
    out += bias
    return out


defvjp(
    affine,
    lambda ans, x, weight, bias: lambda g: g @ weight.T,
    lambda ans, x, weight, bias: lambda g: x.T @ g,
    lambda ans, x, weight, bias: lambda g: g.sum(axis=0),
)


def _draw(rng: np.random.RandomState, scale: float, sizes: tuple[int, ...]) -> list[np.ndarray]:
    arrays: list[np.ndarray] = []
    for fan_in, fan_out in pairwise(sizes):
        arrays += [scale * rng.randn(fan_in, fan_out), scale * rng.randn(fan_out)]
    return arrays
