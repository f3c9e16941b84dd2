"""The two protocols of the toolkit: a bilevel Problem, and the Tuner that solves it.

    λ* = argmin_λ L_V(w*(λ)),   w*(λ) = argmin_w L_T(w, λ),   w_φ(λ) ≈ w*(λ)

φ is trained on L_T(w_φ(λ), λ) with λ ~ p(λ|λ̂), and λ̂ is tuned on L_V(w_φ(λ)) through the response alone: L_T is
never differentiated with respect to λ (Lorraine & Duvenaud 2018, Alg. 2-4; MacKay et al. 2019, Alg. 1).

Notation in code:

| maths   | code                     | meaning                                                       |
|---------|--------------------------|---------------------------------------------------------------|
| λ, λ̂    | lam                      | raw (unconstrained) hyperparameters, (n,) or (B, n)           |
| r(λ)    | h                        | dict name -> value in natural units                           |
| w       | w                        | elementary weights                                            |
| φ       | phi                      | parameters of the response                                    |
| ε, σ, ρ | eps, sigma, rho          | noise, spread, raw spread (σ = softplus ρ)                    |
| τ       | tau                      | entropy weight                                                |
| L_T     | train_loss               | inner objective, penalties included                           |
| L_V     | valid_loss               | outer objective: prediction loss alone                        |
| w_φ     | response                 | the best-response model                                       |

B batch, n tuned hyperparameters, C H W image, T time, V vocabulary. Learning rates: lr_phi, lr_lam, lr_rho.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hyperopt_hn.space import HyperSpace
from hyperopt_hn.transforms import Array

State = dict[str, Any]
"""Nested dicts and lists of arrays, numbers, strings, booleans and None: what a checkpoint holds."""


class Problem(Protocol):
    """A data set, a model's losses and the space of its hyperparameters: one per application."""

    @property
    def space(self) -> HyperSpace:
        """The hyperparameters, tuned or not."""
        ...

    def train_loss(self, w: Any, lam: Array, batch: Any) -> Array:
        """L_T of each row: weights w (B, ...) at raw λ (B, n) on a training batch -> (B,). Penalties live here."""
        ...

    def valid_loss(self, w: Any, batch: Any) -> Array:
        """L_V of each row: weights w (B, ...) on a validation batch -> (B,). No penalty, no dropout."""
        ...

    def evaluate(self, w: Any, split: str) -> Mapping[str, Array]:
        """Metrics of weights w (B, ...) on a whole split ("train", "valid" or "test"): name -> (B,)."""
        ...


class Tuner(Protocol):
    """Holds φ, λ̂ and their optimizers; `alternate` calls its steps in the order of a schedule.

    A step returns the losses that it can report now (name -> float; may be empty, so that a GPU need not wait);
    a NaN or infinity among them stops the run. `train_step` leaves λ̂ bit-identical, `tune_step` leaves φ so.
    """

    def train_step(self) -> Mapping[str, float]:
        """One step on φ."""
        ...

    def tune_step(self) -> Mapping[str, float]:
        """One step on λ̂ (and its spreads)."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Metrics at the unperturbed λ̂; has "valid_loss", which picks the best checkpoint.

        A "..._loss" that is not finite stops the run; of any other metric that is so None is recorded.
        """
        ...

    def hypers(self) -> Mapping[str, float | list[float]]:
        """The present hyperparameters in natural units."""
        ...

    def state(self) -> State:
        """Everything the next steps depend on: φ, λ̂, optimizers, random streams, positions."""
        ...

    def load_state(self, state: State) -> None:
        """Go on exactly where `state()` was taken."""
        ...

    def arrays(self) -> Mapping[str, Array]:
        """What the finished run leaves in arrays.npz: final λ̂, curves for figures."""
        ...
