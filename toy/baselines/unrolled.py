"""The unrolled baseline: hypergradients by reverse mode through the whole inner training.

Maclaurin et al. 2015 and Franceschi et al. 2017: what Lorraine & Duvenaud 2018 (fig. "exp3") compare with.
One outer step trains a network from scratch by T steps of gradient descent with momentum, keeping every iterate, and
runs back through them: with g the inner gradient, v' = μ v + g, w' = w - η v',

    a_v <- a_v - η a_w,   d_λ <- d_λ + (∂g/∂λ)' a_v,   a_w <- a_w + (∂g/∂w)' a_v,   a_v <- μ a_v

Memory: T weight vectors. For penalties alone: unlike a learned response it needs ∂L_T/∂λ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad

from hyperopt_hn.config import check, option
from toy.network import mlp
from toy.optim import Adam
from toy.problems import DecayProblem
from toy.tuner import held_out


@dataclass(frozen=True)
class UnrolledConfig:
    """The inner training and the outer step."""

    inner_steps: int = option(200, "inner gradient steps that are differentiated through", unit="steps", least=1)
    inner_lr: float = option(5e-4, "inner learning rate", above=0)
    inner_rows: int = option(100, "consecutive training rows of an inner minibatch", unit="rows", least=1)
    momentum: float = option(0.9, "inner momentum", least=0, most=0.999)
    outer_lr: float = option(0.1, "Adam's learning rate on the raw hyperparameters", above=0)
    inner_scale: float = option(1e-5, "standard deviation of the inner network's initial weights", least=0, most=1e3)

    def __post_init__(self) -> None:
        check(self)


class Unrolled:
    """A Tuner whose tune step is one outer step; there is no train step."""

    def __init__(self, problem: DecayProblem, config: UnrolledConfig, seed: int) -> None:
        self.problem, self.config, self.seed = problem, config, seed
        self.rows = min(config.inner_rows, problem.rows("train"))
        self.lam = problem.space.init()
        self.start = mlp.init(problem.sizes, config.inner_scale, np.random.RandomState(seed))[None]
        self.w = self.start
        self.outer = 0
        self._adam = Adam(config.outer_lr)
        self._state = self._adam.start([self.lam])

    def train_step(self) -> dict[str, float]:
        """Nothing: training happens inside the tune step."""
        return {}

    def tune_step(self) -> dict[str, float]:
        """Train from scratch at λ̂, differentiate the final validation loss, one Adam step on λ̂."""
        value, gradient = self.hypergradient(self.lam)
        self._adam.step([self.lam], [gradient], self._state)
        self.outer += 1
        return {"valid_loss": value}

    def hypergradient(self, lam: np.ndarray) -> tuple[float, np.ndarray]:
        """L_V after the inner training at lam (n,), and its exact derivative (n,)."""
        eta, mu = self.config.inner_lr, self.config.momentum
        batches = self._batches()
        iterates, velocity = [self.start], np.zeros_like(self.start)
        for batch in batches:
            velocity = mu * velocity + self._inner(iterates[-1], lam, batch)
            iterates.append(iterates[-1] - eta * velocity)
        self.w = iterates.pop()
        a_w = grad(self._valid)(self.w)
        a_v, d_lam = np.zeros_like(a_w), np.zeros_like(lam)
        for w, batch in zip(reversed(iterates), reversed(batches), strict=True):
            a_v = a_v - eta * a_w
            back_w, back_lam = self._pull_back(w, lam, batch, a_v)
            a_w, d_lam, a_v = a_w + back_w, d_lam + back_lam, mu * a_v
        return float(self._valid(self.w)), d_lam

    def evaluate(self) -> dict[str, float]:
        """Losses of the network that the last outer step trained."""
        return held_out(self.problem, self.w)

    def hypers(self) -> dict[str, float | list[float]]:
        """The hyperparameters in natural units."""
        return dict(self.problem.space.plain(self.lam))

    def state(self) -> dict[str, Any]:
        """λ̂, its optimizer, the last network and the number of outer steps."""
        return {"lam": self.lam.copy(), "w": self.w.copy(), "outer": self.outer, "t": self._state["t"],
                "m": self._state["m"][0].copy(), "v": self._state["v"][0].copy()}  # fmt: skip

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next outer step."""
        self.lam, self.w, self.outer = np.array(state["lam"]), np.array(state["w"]), int(state["outer"])
        self._state["t"] = int(state["t"])
        self._state["m"][0][...], self._state["v"][0][...] = state["m"], state["v"]

    def arrays(self) -> dict[str, np.ndarray]:
        """lambda_hat (n,)."""
        return {"lambda_hat": self.lam}

    def _batches(self) -> list[slice]:
        rng = np.random.default_rng([self.seed, self.outer])
        starts = rng.integers(self.problem.rows("train") - self.rows + 1, size=self.config.inner_steps)
        return [slice(int(first), int(first) + self.rows) for first in starts]

    def _valid(self, w: Any) -> Any:
        return anp.sum(self.problem.valid_loss(w))

    def _inner(self, w: Any, lam: Any, batch: slice) -> Any:
        """∂L_T/∂w at w (1, P): (1, P), itself differentiable."""
        return grad(lambda p: anp.sum(self.problem.train_loss(p, anp.reshape(lam, (1, -1)), batch)))(w)

    def _pull_back(self, w: np.ndarray, lam: np.ndarray, batch: slice, vector: np.ndarray) -> Any:
        """(∂g/∂w)' vector and (∂g/∂λ)' vector for the inner gradient g."""

        def product(point: tuple[Any, Any]) -> Any:
            return anp.sum(self._inner(point[0], point[1], batch) * vector)

        return grad(product)((w, lam))
