"""Hyper-training: learn w_phi(lam) around lam_hat and tune lam_hat through it (Lorraine & Duvenaud 2018).

Algorithm 2 (global) is a schedule of train steps and then tune steps with `centre` "initial"; Algorithm 3 (local)
alternates them with `centre` "current"; Algorithm 4 is Algorithm 3 with sigma 0. `hyperopt_hn.loop` runs it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hyperopt_hn import HyperSpace, UserError, perturb
from hyperopt_hn.config import check, option
from hyperopt_hn.errors import unknown
from toy.network.graph import value_and_grads
from toy.optim import SGD, Adam
from toy.responses import WeightResponse
from toy.shapes import check_losses, check_response

Array = Any
Arrays = Mapping[str, np.ndarray]

LISTED = 10  # hyperparameters that a log line lists; of more it gives the median and the range


CHOICES = {"streams": ("default", "published"), "optimizer": ("adam", "sgd"), "centre": ("initial", "current")}


@dataclass(frozen=True)
class HyperTunerConfig:
    """How phi and lam_hat are trained. The defaults are those of the published global experiment."""

    seed: int = option(7, "seed of phi's initial values and of every draw", least=0)
    streams: str = option("default", "random streams: default, or published (the published ones and their faults)")
    optimizer: str = option("adam", "optimizer of the hypernetwork: adam or sgd")
    lr_phi: float = option(1e-4, "learning rate of the hypernetwork", above=0)
    lr_lam: float = option(0.01, "learning rate of the hyperparameters, tuned by Adam", above=0)
    samples: int = option(10, "hyperparameter vectors drawn for each training step", least=1)
    sigma: float = option(3.0, "standard deviation of the draws; 0 trains at their centre", "raw lambda", least=0)
    centre: str = option("initial", "draws are around the initial hyperparameters (global) or the current ones (local)")
    low: float = option(
        -100.0, "draws are clipped from below here, and curves over lambda begin here; -100: neither", "raw lambda"
    )
    high: float = option(
        4.0, "draws are clipped from above here, and curves over lambda end here; 100: neither", "raw lambda"
    )
    train_rows: int = option(0, "consecutive training images of a training step; 0: all", "images", least=0)
    valid_rows: int = option(0, "consecutive validation images of a tuning step; 0: all", "images", least=0)

    def __post_init__(self) -> None:
        check(self)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(unknown(name, getattr(self, name), choices))
        if not self.low < self.high:
            raise UserError(f"--low {self.low:g} is not below --high {self.high:g}; give a lower one")


class ToyProblem(Protocol):
    """What the tuner asks of a problem: losses of weights and λ, and the number of rows of its splits."""

    @property
    def space(self) -> HyperSpace:
        """The hyperparameters."""
        ...

    def rows(self, split: str) -> int:
        """How many rows a split has; asked only for minibatches."""
        ...

    def train_loss(self, w: Array, lam: Array, batch: slice | None) -> Array:
        """L_T of each row of w (B, P) at lam (B, n): (B,)."""
        ...

    def valid_loss(self, w: Array, batch: slice | None) -> Array:
        """L_V of each row of w (B, P): (B,)."""
        ...

    def evaluate(self, w: Array, split: str) -> dict[str, np.ndarray]:
        """Metrics of each row of w (B, P) on a whole split, "nll" among them: name -> (B,)."""
        ...


def held_out(problem: ToyProblem, w: Array) -> dict[str, float]:
    """Metrics of one weight vector, w (1, P), on "valid" and "test", named for the record: valid_loss is the NLL."""
    return {
        f"{split}_{'loss' if metric == 'nll' else metric}": float(value[0])
        for split in ("valid", "test")
        for metric, value in problem.evaluate(w, split).items()
    }


def _nothing(tuner: HyperTuner) -> Arrays:
    return {}


class HyperTuner:
    """The Tuner of the toy part: phi learns L_T's minimisers, lam_hat descends L_V through them.

    `streams="published"` reproduces the published random numbers (a fresh RandomState(i) for step i) and its
    stuck Adam counter on lam_hat. With sigma 0 all draws are equal and are computed once. `also(tuner)` adds arrays
    to what a finished run leaves. Raises UserError where response and losses do not fit together, naming n and P.
    """

    def __init__(
        self,
        problem: ToyProblem,
        response: WeightResponse,
        config: HyperTunerConfig,
        also: Callable[[HyperTuner], Arrays] = _nothing,
    ) -> None:
        for split, rows in (("train", config.train_rows), ("valid", config.valid_rows)):
            if rows and rows > problem.rows(split):
                there = problem.rows(split)
                raise UserError(f"{split}_rows is {rows}, the split has {there}; give fewer, or 0 for all")
        self.problem, self.response, self.config, self.also = problem, response, config, also
        self.phi = response.init(np.random.RandomState(config.seed))
        self.lam = problem.space.init()
        batches = {"train": slice(config.train_rows) if config.train_rows else None,
                   "valid": slice(config.valid_rows) if config.valid_rows else None}  # fmt: skip
        check_losses(problem, check_response(response, self.phi, self.lam), self.lam, batches)
        self._lam0 = self.lam.copy()
        self._shared = np.zeros(self.lam.shape, dtype=bool)
        self._rng = np.random.Generator(np.random.PCG64(config.seed))
        self._opt_phi = (Adam if config.optimizer == "adam" else SGD)(config.lr_phi)
        self._opt_lam = Adam(config.lr_lam, stuck_counter=config.streams == "published")
        self._phi_state = self._opt_phi.start(self.phi)
        self._lam_state = self._opt_lam.start([self.lam])
        self._path = [self.lam.copy()] if self.lam.size == 1 else []

    def train_step(self) -> dict[str, float]:
        """phi -= lr_phi dL_T(w_phi(lam), lam)/dphi, averaged over draws lam ~ p(lam|lam_hat); lam_hat stays."""
        lam = self._draw()
        batch = self._window("train", self.config.train_rows)

        def loss(phi: list[Array]) -> Array:
            return self.problem.train_loss(self.response(phi, lam), lam, batch)

        value, grads = value_and_grads(loss, self.phi)
        self._opt_phi.step(self.phi, grads, self._phi_state)
        return {"train_loss": value}

    def tune_step(self) -> dict[str, float]:
        """lam_hat -= lr_lam dL_V(w_phi(lam_hat))/dlam_hat by Adam, without noise; phi stays."""
        value, grad = self.hypergradient(self._window("valid", self.config.valid_rows))
        self._opt_lam.step([self.lam], [grad], self._lam_state)
        if self.lam.size == 1:
            self._path.append(self.lam.copy())
        return {"valid_loss": value}

    def hypergradient(self, batch: slice | None = None) -> tuple[float, np.ndarray]:
        """L_V(w_phi(lam_hat)) on validation rows (None: all) and its derivative through the response, (n,)."""

        def loss(lam: list[Array]) -> Array:
            return self.problem.valid_loss(self.response(self.phi, lam[0]), batch)

        value, grads = value_and_grads(loss, [self.lam[None]])
        return value, grads[0][0]

    def evaluate(self) -> dict[str, float]:
        """At lam_hat: train_loss with its penalty, valid_loss and test_loss (NLL), valid_mse and test_mse."""
        lam = self.lam[None]
        w = self.response(self.phi, lam)
        return {"train_loss": float(self.problem.train_loss(w, lam, None)[0]), **held_out(self.problem, w)}

    def hypers(self) -> dict[str, float | list[float]]:
        """lam_hat in natural units; of a vector longer than ten its median and range."""
        out: dict[str, float | list[float]] = {}
        for name, value in self.problem.space.plain(self.lam).items():
            if isinstance(value, list) and len(value) > LISTED:
                out |= {f"{name}_median": float(np.median(value)), f"{name}_min": min(value), f"{name}_max": max(value)}
            else:
                out[name] = value
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """What `also` adds, lam_hat (n,) and, of a single hyperparameter, its path (S, 2) over tune steps.

        A single lam_hat is named tuned_lambda where the draws stay around the start (global), lambda_hat otherwise.
        """
        also = self.also(self)
        if self.lam.size > 1:
            return {**also, "lambda_hat": self.lam.copy()}
        path = np.column_stack([np.arange(len(self._path)), np.array(self._path)])
        lam_hat = np.array(self.lam[0])
        if self.config.centre == "initial":
            return {**also, "tuned_lambda": lam_hat, "tuned_path": path}
        return {**also, "lambda_hat": lam_hat, "sigma": np.array(self.config.sigma), "path": path}

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, copied: phi, lam_hat, optimizers, the random stream, the path."""
        live = {"phi": self.phi, "lam": self.lam, "phi_state": self._phi_state, "lam_state": self._lam_state,
                "rng": self._rng.bit_generator.state}  # fmt: skip
        return copy.deepcopy(live) | {"path": np.array(self._path)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`; UserError if it belongs to another model."""
        shapes = [np.shape(p) for p in [*state["phi"], state["lam"]]]
        if shapes != [p.shape for p in [*self.phi, self.lam]]:
            raise UserError("the checkpoint belongs to another model; resume with the settings that it was made with")
        mine = copy.deepcopy(state)
        self.phi, self.lam = list(mine["phi"]), mine["lam"]
        self._phi_state, self._lam_state = mine["phi_state"], mine["lam_state"]
        self._rng.bit_generator.state = mine["rng"]
        self._path = list(mine["path"])

    def _draw(self) -> np.ndarray:
        """lam (B, n) ~ clip(N(centre, sigma^2), low, high)."""
        config = self.config
        centre = self._lam0 if config.centre == "initial" else self.lam
        if config.sigma == 0.0:
            return np.clip(centre[None], config.low, config.high)
        shape = (config.samples, self.lam.size)
        if config.streams == "published":
            eps = np.random.RandomState(self._phi_state["t"]).randn(*shape)
        else:
            eps = self._rng.standard_normal(shape)
        lam = perturb(centre, config.sigma, eps, self._shared, np)
        return np.clip(lam, config.low, config.high)

    def _window(self, split: str, rows: int) -> slice | None:
        """A window of consecutive rows at a random start, the last window included; None is all rows."""
        if not rows:
            return None
        start = int(self._rng.integers(self.problem.rows(split) - rows + 1))
        return slice(start, start + rows)
