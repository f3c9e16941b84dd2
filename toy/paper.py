"""Algorithms 2 and 3 of Lorraine & Duvenaud 2018 as the paper prints them; `toy.tuner` holds the fast code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import autograd.numpy as np
from autograd import grad

Array = Any


@dataclass(frozen=True)
class Bilevel:
    """Two losses, their data, a hypernetwork and two learning rates: all that the algorithms are given."""

    train_loss: Callable[[Array, Array, Any], Array]  # L_Train(w, λ, x), its penalty included
    valid_loss: Callable[[Array, Any], Array]  # L_Valid(w, x)
    train_data: Callable[[], Any]  # x ~ training data
    valid_data: Callable[[], Any]  # x ~ validation data
    hypernetwork: Callable[[Array, Array], Array]  # w_φ(λ), φ one array
    alpha: float  # learning rate of φ
    beta: float  # learning rate of λ̂


def linear(phi: Array, lam: Array) -> Array:
    """w_φ(λ) = [λ, 1] φ: φ (n + 1, P), λ (n,) -> (P,)."""
    return np.dot(lam, phi[:-1]) + phi[-1]


def train(s: Bilevel, phi: Array, lam: Array) -> Array:
    """φ - α ∇_φ L_Train(w_φ(λ), λ, x)."""
    x = s.train_data()
    return phi - s.alpha * grad(lambda phi: s.train_loss(s.hypernetwork(phi, lam), lam, x))(phi)


def tune(s: Bilevel, phi: Array, lam: Array) -> Array:
    """λ̂ - β ∇_λ̂ L_Valid(w_φ(λ̂), x)."""
    x = s.valid_data()
    return lam - s.beta * grad(lambda lam: s.valid_loss(s.hypernetwork(phi, lam), x))(lam)


def algorithm_2(s: Bilevel, phi: Array, lam: Array, draw: Callable[[], Array], steps: tuple[int, int]) -> tuple:
    """Global: learn w_φ for λ ~ p(λ), which `draw` gives, then tune λ̂; steps of each. Returns λ̂, w_φ(λ̂)."""
    for _ in range(steps[0]):
        phi = train(s, phi, draw())
    for _ in range(steps[1]):
        lam = tune(s, phi, lam)
    return lam, s.hypernetwork(phi, lam)


def algorithm_3(s: Bilevel, phi: Array, lam: Array, draw: Callable[[Array], Array], steps: int) -> tuple:
    """Local: learn w_φ around λ̂, at λ ~ p(λ|λ̂) from `draw`, and tune λ̂ in turn. Returns λ̂, w_φ(λ̂)."""
    for _ in range(steps):
        phi = train(s, phi, draw(lam))
        lam = tune(s, phi, lam)
    return lam, s.hypernetwork(phi, lam)
