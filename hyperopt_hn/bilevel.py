"""The bilevel problem, its notation, and the one protocol that all methods share: the Tuner that solves it.

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

What a problem consists of is the same in both parts, a space of hyperparameters, L_T with its penalties, L_V without,
and an evaluation on a whole split; how it is written is not. `toy` differentiates weights as arrays, rows of them for
rows of λ (`toy.tuner.ToyProblem`); `nn` calls a module whose layers respond to λ (`hyperopt_hn.nn.TorchProblem`). So
there is no common Problem class: the loop, the log and the figures know a Tuner alone.

B batch, n tuned hyperparameters, C H W image, T time, V vocabulary. Learning rates: lr_phi, lr_lam, lr_rho.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hyperopt_hn.transforms import Array

State = dict[str, Any]
"""Nested dicts and lists of arrays, numbers, strings, booleans and None: what a checkpoint holds."""


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
