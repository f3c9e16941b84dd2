"""The truth of `weights-vs-loss`: thousands of networks, each trained from scratch at its own ten hyperparameters.

One hyperparameter per class, lam_i ~ U[-3, 3]; each network minimises the Gaussian NLL on windows of consecutive rows
plus (1/10) sum_i exp(lam_i) ||W_i||; its true loss is the NLL of the validation rows.
Source: Lorraine & Duvenaud 2018, sec. 4.5, with the settings of their code (1,000 Adam steps, windows of 100 rows).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from hyperopt_hn.config import check, option
from hyperopt_hn.errors import UserError
from toy.network import mlp
from toy.optim import Adam, aligned_zeros
from toy.problems import DecayProblem
from toy.truth.linear_nets import ClassPenalty, Windows

STREAMS = ("default", "published")
GROUP = 4  # networks whose weights, gradients and moments (1 MB) stay in the second-level cache beside a window


@dataclass(frozen=True)
class SharedSettings:
    """What truth and surrogates have in common; published, but for `streams`."""

    seed: int = option(7, "seed of initial weights and of every draw", least=0)
    streams: str = option("default", "random streams: default, or published (the published code's with its faults)")
    spread: float = option(3.0, "each raw hyperparameter is uniform between minus and plus this", above=0)
    window: int = option(100, "consecutive training rows in a minibatch", unit="rows", least=1)
    lr: float = option(1e-4, "Adam's learning rate", above=0)
    scale: float = option(1e-5, "standard deviation of initial weights", least=0, most=1e3)

    def __post_init__(self) -> None:
        check(self)
        if self.streams not in STREAMS:
            raise UserError(f"--streams cannot be {self.streams!r}; choose from {', '.join(STREAMS)}")

    def starts(self, rows: int) -> int:
        """In how many places of `rows` training rows a window can start.

        The published streams leave out the last one. Raises UserError where none is left.
        """
        count = rows - self.window + (0 if self.streams == "published" else 1)
        if count < 1:
            raise UserError(f"--window {self.window} does not fit into {rows} training rows: choose a smaller one")
        return count

    def uniform(self, rng: np.random.RandomState, *shape: int) -> np.ndarray:
        """Hyperparameters U[-spread, spread], rounded as the published code does."""
        return rng.rand(*shape) * (2.0 * self.spread) - self.spread


@dataclass(frozen=True)
class TrueLossesConfig:
    """The published settings."""

    nets: int = option(10_240, "networks trained from scratch", unit="networks", least=1)
    steps: int = option(1000, "Adam steps of each network", unit="steps", least=1)
    unit: int = option(32, "networks trained by one step of the run", unit="networks", least=1)
    workers: int = option(1, "threads; the result does not depend on them", unit="threads", least=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, eq=False)
class Start:
    """What every network starts from: the training rows, the initial weights (C, S), and how it is trained."""

    data: Windows
    init: np.ndarray
    shared: SharedSettings

    def draw(self, rng: np.random.RandomState, nets: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The next networks' hyperparameters (nets, C) and windows (nets, steps), in the published order.

        Network after network: C uniforms, then `steps` window starts, all from one stream.
        """
        lam, starts = np.empty((nets, len(self.init))), np.empty((nets, steps), dtype=np.int64)
        count = self.shared.starts(len(self.data.rows))
        for net in range(nets):
            lam[net] = self.shared.uniform(rng, len(self.init))
            starts[net] = rng.randint(count, size=steps)
        return lam, starts

    def train(self, lam: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Networks (K, C, S) after training at lam (K, C) on the windows `starts` (K, steps).

        A network's bits do not depend on which others are trained beside it.
        """
        nets = aligned_zeros((len(lam), *self.init.shape))
        nets[...] = self.init
        adam, penalty = Adam(self.shared.lr), ClassPenalty(lam, nets.shape[2])
        grads, state = aligned_zeros(nets.shape), adam.start([nets])
        for row in starts.T.tolist():
            self.data.gradients(nets, row, grads)
            penalty.add(nets, grads)
            adam.step([nets], [grads], state)
        return nets


class TrueLosses:
    """A Tuner whose train step trains the next `unit` networks to the end; nothing is tuned."""

    def __init__(self, problem: DecayProblem, shared: SharedSettings, config: TrueLossesConfig) -> None:
        shared.starts(problem.rows("train"))
        self.problem, self.config = problem, config
        data = Windows.of(problem.train, shared.window)
        init = mlp.init(problem.sizes, shared.scale, np.random.RandomState(shared.seed))
        self.start = Start(data, data.nets(init[None])[0], shared)
        self.rng = np.random.RandomState(shared.seed)
        self.lam = np.zeros((config.nets, problem.sizes[-1]))
        self.loss = np.zeros(config.nets)
        self.done = 0
        self._blas = ThreadpoolController()

    @property
    def units(self) -> int:
        """Train steps until every network is trained."""
        return -(-self.config.nets // self.config.unit)

    def train_step(self) -> dict[str, float]:
        """Train the next networks; returns the mean of their validation losses."""
        todo = slice(self.done, min(self.done + self.config.unit, self.config.nets))
        lam, starts = self.start.draw(self.rng, todo.stop - todo.start, self.config.steps)
        self.lam[todo], self.loss[todo] = lam, self.losses(lam, starts)
        self.done = todo.stop
        return {"true_loss": float(self.loss[todo].mean())}

    def losses(self, lam: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Validation losses of the networks with these draws, (K,): `start.draw` and this recompute any block."""

        def group(first: int) -> np.ndarray:
            part = slice(first, first + GROUP)
            return self.valid(self.start.train(lam[part], starts[part]))

        with self._blas.limit(limits=1), ThreadPoolExecutor(self.config.workers) as pool:
            return np.concatenate(list(pool.map(group, range(0, len(lam), GROUP))))

    def valid(self, nets: np.ndarray) -> np.ndarray:
        """Validation losses of networks (K, C, S): (K,). One by one, so that no bit depends on the company."""
        weights = self.start.data.flat(nets)
        return np.concatenate([self.problem.evaluate(w[None], "valid")["nll"] for w in weights])

    def tune_step(self) -> dict[str, float]:
        """Nothing is tuned."""
        return {}

    def evaluate(self) -> dict[str, float]:
        """The lowest true loss so far (the untrained network's before the first) and how many are done."""
        best = self.loss[: self.done].min() if self.done else self.valid(self.start.init[None])[0]
        return {"valid_loss": float(best), "networks": self.done}

    def hypers(self) -> dict[str, float | list[float]]:
        """The weight decays of the best network so far."""
        best = self.lam[int(np.argmin(self.loss[: self.done]))] if self.done else np.zeros(self.lam.shape[1])
        return {"weight_decay": np.exp(best).tolist()}

    def state(self) -> dict[str, Any]:
        """The stream's position and what is known so far."""
        return {"done": self.done, "rng": rng_state(self.rng), "lam": self.lam.copy(), "loss": self.loss.copy()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next network, bit for bit."""
        if np.shape(state["lam"]) != self.lam.shape:
            raise ValueError(f"it holds {len(state['loss'])} networks, not {len(self.loss)}")
        self.done = int(state["done"])
        set_rng_state(self.rng, state["rng"])
        self.lam[...], self.loss[...] = state["lam"], state["loss"]

    def arrays(self) -> dict[str, np.ndarray]:
        """lam (nets, C) and true (nets,) of the networks trained so far."""
        return {"lam": self.lam[: self.done].copy(), "true": self.loss[: self.done].copy()}


def rng_state(rng: np.random.RandomState) -> dict[str, Any]:
    """A RandomState as plain data."""
    _, keys, position, has_gauss, gauss = rng.get_state(legacy=True)
    return {"keys": np.array(keys), "position": int(position), "has_gauss": int(has_gauss), "gauss": float(gauss)}


def set_rng_state(rng: np.random.RandomState, state: Mapping[str, Any]) -> None:
    """Put a RandomState where `rng_state` found it."""
    rng.set_state(("MT19937", state["keys"], state["position"], state["has_gauss"], state["gauss"]))
