"""The truth of the one-dimensional experiments: networks trained to convergence at given lam, all in one batch.

Objective: Gaussian NLL of the training rows + exp(lam) ||(W, b)||, the unsquared norm, biases included.
Source: Lorraine & Duvenaud 2018, sec. 4.1, with the settings of their code (1,000 Adam steps from one start).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.config import check, option
from hyperopt_hn.errors import UserError
from toy.network import mlp
from toy.optim import Adam
from toy.problems import DecayProblem
from toy.truth.linear_nets import NormPenalty, Windows

GROUP = 4  # networks trained together: more of them leave the second-level cache, fewer cost more calls


@dataclass(frozen=True)
class CrossvalConfig:
    """The published ten lam, and a finer grid on which the optimum is found."""

    seed: int = option(7, "seed of the initial weights, the same for every network", least=0)
    low: float = option(-1.0, "lowest raw lambda of the crosses")
    high: float = option(3.0, "highest raw lambda of the crosses")
    points: int = option(10, "crosses on the figures", unit="networks", least=2)
    fine_low: float = option(-2.0, "lowest raw lambda of the fine grid")
    fine_high: float = option(4.0, "highest raw lambda of the fine grid")
    fine_points: int = option(121, "points of the fine grid", unit="networks", least=3)
    steps: int = option(1000, "Adam steps of each network", unit="steps", least=1)
    steps_per_unit: int = option(10, "Adam steps of every network in one step of the run", unit="steps", least=1)
    lr: float = option(1e-4, "Adam's learning rate", above=0)
    scale: float = option(0.01, "standard deviation of the initial weights", least=0, most=1e3)

    def __post_init__(self) -> None:
        check(self)

    def grids(self) -> tuple[np.ndarray, np.ndarray]:
        """The crosses' lam (points,) and the fine grid's (fine_points,)."""
        return (np.linspace(self.low, self.high, self.points),
                np.linspace(self.fine_low, self.fine_high, self.fine_points))  # fmt: skip


class Crossval:
    """A Tuner whose train step takes `steps_per_unit` Adam steps of every network; nothing is tuned."""

    def __init__(self, problem: DecayProblem, config: CrossvalConfig) -> None:
        if problem.penalty != "norm" or len(problem.sizes) != 2:
            raise UserError(
                "crossval trains linear networks with one hyperparameter: give --penalty norm and no --hidden"
            )
        self.problem, self.config = problem, config
        self.data = Windows.of(problem.train, len(problem.train))
        self.lam = np.concatenate(config.grids())
        start = mlp.init(problem.sizes, config.scale, np.random.RandomState(config.seed))
        self.adam = Adam(config.lr)
        self.groups = [self._group(start, len(part)) for part in self._parts()]
        self.done = 0

    @property
    def units(self) -> int:
        """Train steps until every network has taken its Adam steps."""
        return -(-self.config.steps // self.config.steps_per_unit)

    def train_step(self) -> dict[str, float]:
        """The next Adam steps of every network, group after group so that each stays in the cache."""
        count = min(self.config.steps_per_unit, self.config.steps - self.done)
        for lam, (nets, state) in zip(self._parts(), self.groups, strict=True):
            penalty, grads = NormPenalty(lam), np.empty_like(nets)
            for _ in range(count):
                self.data.shared_gradients(nets, grads)
                penalty.add(nets, grads)
                self.adam.step([nets], [grads], state)
        self.done += count
        return {}  # losses cost more than the steps: see evaluate

    def tune_step(self) -> dict[str, float]:
        """Nothing is tuned."""
        return {}

    def weights(self) -> np.ndarray:
        """Every network as `mlp` keeps it, crosses first: (points + fine_points, P)."""
        return np.concatenate([self.data.flat(nets) for nets, _ in self.groups])

    def losses(self) -> dict[str, np.ndarray]:
        """Of every network: the train objective with its penalty, valid and test loss without, each (K,)."""
        w = self.weights()
        tested = {split: self.problem.evaluate(w, split)["nll"] for split in ("valid", "test")}
        return {"train": np.asarray(self.problem.train_loss(w, self.lam[:, None])), **tested}

    def evaluate(self) -> dict[str, float]:
        """The losses of the best network of the fine grid."""
        losses = self.losses()
        best = self._best(losses["valid"])
        return {f"{name}_loss": float(values[best]) for name, values in losses.items()}

    def hypers(self) -> dict[str, float | list[float]]:
        """The weight decay of the best network of the fine grid."""
        return {"weight_decay": float(np.exp(self.lam[self._best(self.losses()["valid"])]))}

    def state(self) -> dict[str, Any]:
        """Networks and moments of each group."""
        groups = [{"nets": nets.copy(), "t": s["t"], "m": s["m"][0].copy(), "v": s["v"][0].copy()}
                  for nets, s in self.groups]  # fmt: skip
        return {"done": self.done, "groups": groups}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next Adam step, bit for bit."""
        for (nets, mine), saved in zip(self.groups, state["groups"], strict=True):
            mine["t"] = int(saved["t"])
            nets[...], mine["m"][0][...], mine["v"][0][...] = saved["nets"], saved["m"], saved["v"]
        self.done = int(state["done"])

    def arrays(self) -> dict[str, np.ndarray]:
        """cross_* and fine_* (lambda, train, valid, test), and optimum_* of the fine grid."""
        curves = {"lambda": self.lam, **self.losses()}
        crosses = {f"cross_{name}": values[: self.config.points] for name, values in curves.items()}
        fine = {name: values[self.config.points :] for name, values in curves.items()}
        optimum = {f"optimum_{name}": value for name, value in lowest(fine).items()}
        return {**crosses, **{f"fine_{name}": values for name, values in fine.items()}, **optimum}

    def _best(self, valid: np.ndarray) -> int:
        return self.config.points + int(np.argmin(valid[self.config.points :]))

    def _parts(self) -> list[np.ndarray]:
        return [self.lam[first : first + GROUP] for first in range(0, len(self.lam), GROUP)]

    def _group(self, start: np.ndarray, count: int) -> tuple[np.ndarray, dict[str, Any]]:
        nets = self.data.nets(np.tile(start, (count, 1)))
        return nets, self.adam.start([nets])


def lowest(curves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where the curve "valid" over the even grid "lambda" is lowest, and every curve there.

    The parabola through the lowest point and its two neighbours refines all of them; at an end of the grid, or where
    the three points are on a line, the point itself is the answer.
    """
    valid = curves["valid"]
    at = int(np.argmin(valid))
    shift = 0.0  # in steps of the grid, at most half a one
    if 0 < at < len(valid) - 1:
        left, middle, right = valid[at - 1 : at + 2]
        bend = left - 2.0 * middle + right
        shift = 0.5 * (left - right) / bend if bend > 0.0 else 0.0
    return {name: np.asarray(_parabola(curve, at, shift)) for name, curve in curves.items()}


def _parabola(curve: np.ndarray, at: int, shift: float) -> float:
    if shift == 0.0:
        return float(curve[at])
    left, middle, right = curve[at - 1 : at + 2]
    return float(middle + 0.5 * shift * (right - left) + 0.5 * shift**2 * (left - 2.0 * middle + right))
