"""The black-box baseline: train networks from scratch at proposed hyperparameters and keep the best by validation.

Lorraine & Duvenaud 2018, appendix of the later version, compares with random search and Bayesian optimization; both
ran on the hypernetwork's clock. Trials are trained side by side, so that the baseline is as fast as the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.config import check, option
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.trial import Trial
from hyperopt_hn.space import HyperSpace
from toy.network import mlp
from toy.network.graph import value_and_grads
from toy.optim import Adam
from toy.problems import DECAY, DecayProblem
from toy.tuner import held_out


@dataclass(frozen=True)
class TrialConfig:
    """How a trial is trained, and where trials are."""

    lowest: float = option(-6.0, "lowest raw hyperparameter tried", unit="raw lam")
    highest: float = option(3.0, "highest raw hyperparameter tried", unit="raw lam")
    trial_steps: int = option(2000, "Adam steps of a trial", unit="steps", least=1)
    trial_lr: float = option(1e-3, "Adam's learning rate in a trial", above=0)
    trial_scale: float = option(1e-5, "standard deviation of a trial's initial weights", least=0, most=1e3)
    trial_rows: int = option(100, "consecutive training rows of a trial's minibatch", unit="rows", least=1)
    parallel: int = option(4, "trials trained side by side", unit="trials", least=1)

    def __post_init__(self) -> None:
        check(self)


class SearchTuner:
    """A Tuner whose train step trains the next `parallel` trials to the end; nothing is tuned by gradient."""

    def __init__(self, problem: DecayProblem, method: str, config: TrialConfig, seed: int) -> None:
        self.problem, self.config, self.seed = problem, config, seed
        self.rows = min(config.trial_rows, problem.rows("train"))
        size = problem.space[DECAY].size
        low, high = np.exp(config.lowest), np.exp(config.highest)
        box = Hyper(DECAY, float(np.sqrt(low * high)), float(low), float(high), log=True, size=size)
        self.search = Search(HyperSpace([box]), method, seed)
        self.values: list[np.ndarray] = []
        self.losses: list[float] = []
        untrained = np.zeros((1, problem.weights))
        self.best = held_out(problem, untrained)

    def train_step(self) -> dict[str, float]:
        """Propose, train and judge the next trials; returns the best validation loss among them."""
        trials = [Trial({DECAY: v}, loss) for v, loss in zip(self.values, self.losses, strict=True)]
        asked = [np.asarray(values[DECAY]) for values in self.search.ask(trials, self.config.parallel)]
        lam = np.log(np.stack(asked)).reshape(len(asked), -1)
        w = self._train(lam)
        valid = self.problem.evaluate(w, "valid")["nll"]
        self.values += asked
        self.losses += valid.tolist()
        at = int(np.argmin(valid))
        if valid[at] < self.best["valid_loss"]:
            self.best = held_out(self.problem, w[at : at + 1])
        return {"trial_loss": float(valid[at])}

    def tune_step(self) -> dict[str, float]:
        """Nothing is tuned."""
        return {}

    def evaluate(self) -> dict[str, float]:
        """Losses of the best trial so far (before the first: of zero weights), and how many were run."""
        return {**self.best, "trials": len(self.losses)}

    def hypers(self) -> dict[str, float | list[float]]:
        """The best trial's hyperparameters in natural units."""
        if not self.losses:
            return {}
        value = np.atleast_1d(self.values[int(np.argmin(self.losses))])
        return {DECAY: value.tolist() if len(value) > 1 else float(value[0])}

    def state(self) -> dict[str, Any]:
        """Every trial; what comes next is a function of (seed, trials)."""
        return {"values": [v.copy() for v in self.values], "losses": list(self.losses), "best": dict(self.best)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next trial."""
        self.values, self.losses = [np.asarray(v) for v in state["values"]], list(state["losses"])
        self.best = dict(state["best"])

    def arrays(self) -> dict[str, np.ndarray]:
        """trial_values (trials, n) and trial_losses (trials,)."""
        values = np.stack([np.atleast_1d(v) for v in self.values]) if self.values else np.zeros((0, 1))
        return {"trial_values": values, "trial_losses": np.array(self.losses)}

    def _train(self, lam: np.ndarray) -> np.ndarray:
        """Weights (K, P) after Adam from one start at raw hyperparameters lam (K, n), on shared minibatches."""
        config, rng = self.config, np.random.default_rng([self.seed, len(self.losses)])
        start = mlp.init(self.problem.sizes, config.trial_scale, np.random.RandomState(self.seed))
        w = np.tile(start, (len(lam), 1))
        adam = Adam(config.trial_lr)
        state = adam.start([w])
        for _ in range(config.trial_steps):
            first = int(rng.integers(self.problem.rows("train") - self.rows + 1))
            batch = slice(first, first + self.rows)

            def loss(phi: list[Any], batch: slice = batch) -> Any:
                return len(lam) * self.problem.train_loss(phi[0], lam, batch)  # averaged: each trial's own gradient

            _, grads = value_and_grads(loss, [w])
            adam.step([w], grads, state)
        return w
