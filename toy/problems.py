"""Weight decay as a bilevel problem: a network on digits, its penalty's strengths the hyperparameters.

Lorraine & Duvenaud 2018, sec. 4. Losses are Gaussian NLLs with sd 0.1 (the papers say "mean squared error").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import autograd.numpy as anp
import numpy as np

from hyperopt_hn import Hyper, HyperSpace, UserError
from toy.network import mlp
from toy.network.gram import Gram
from toy.network.penalties import penalise, penalty_length
from toy.responses import WeightResponse

Array = Any

DECAY = "weight_decay"
CHUNK = 2**22  # at most so many hidden or output numbers at once while evaluating (32 MB)


@dataclass(frozen=True)
class RowSplit:
    """Rows of a data set: `rows` (N, D + 1) float64 ending in a one, `targets` (N, out) one-hot."""

    rows: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray, targets: np.ndarray) -> RowSplit:
        """From inputs (N, D) and targets (N, out); UserError if they do not pair or a number is not finite."""
        if inputs.ndim != 2 or targets.ndim != 2 or len(inputs) != len(targets) or not len(inputs):
            raise UserError(f"inputs {inputs.shape} and targets {targets.shape} do not pair; give (N, D) and (N, out)")
        if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
            raise UserError("inputs or targets hold a NaN or infinity; clean the data first")
        return cls(mlp.augment(inputs), np.asarray(targets, dtype=np.float64))

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def gram(self) -> Gram:
        """What a linear network's loss needs of all these rows, computed once."""
        return Gram.of(self.rows, self.targets)


@dataclass(frozen=True)
class DecayProblem:
    """Train with a penalty, validate without: the network `sizes` on three splits, the penalty named in PENALTIES.

    The space needs a tuned `weight_decay` of the penalty's length (see `decay_space`). A linear network's loss on
    all rows of a long split goes through `Gram`. Raises UserError for what does not fit together.
    """

    train: RowSplit
    valid: RowSplit
    test: RowSplit
    sizes: tuple[int, ...]
    penalty: str
    space: HyperSpace

    def __post_init__(self) -> None:
        wanted = penalty_length(self.penalty, self.sizes)
        if DECAY not in self.space.tuned or self.space[DECAY].size != wanted:
            raise UserError(f"penalty {self.penalty!r} needs a tuned {DECAY!r} of size {wanted}; use decay_space()")
        ends = {(s.rows.shape[1] - 1, s.targets.shape[1]) for s in (self.train, self.valid, self.test)}
        if ends != {(self.sizes[0], self.sizes[-1])}:
            raise UserError(f"a network {self.sizes} does not fit data of (inputs, outputs) {sorted(ends)}")

    @property
    def weights(self) -> int:
        """P, the entries of a weight vector."""
        return mlp.count(self.sizes)

    def split(self, name: str) -> RowSplit:
        """The split "train", "valid" or "test"."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[name]

    def rows(self, split: str) -> int:
        """How many rows a split has."""
        return len(self.split(split))

    def train_loss(self, w: Array, lam: Array, batch: slice | None = None) -> Array:
        """L_T: the NLL of a batch of training rows (None: all) plus the penalty; w (B, P), lam (B, n) -> (B,)."""
        return mlp.gaussian_nll(self._mse(w, self.train, batch)) + self.penalise(w, lam)

    def valid_loss(self, w: Array, batch: slice | None = None) -> Array:
        """L_V: the NLL of a batch of validation rows (None: all); w (B, P) -> (B,)."""
        return mlp.gaussian_nll(self._mse(w, self.valid, batch))

    def penalise(self, w: Array, lam: Array) -> Array:
        """The penalty named in PENALTIES: w (B, P), lam (B, n) -> (B,)."""
        return penalise(self.penalty, self.space.values(lam, anp)[DECAY], w, self.sizes)

    def evaluate(self, w: np.ndarray, split: str) -> dict[str, np.ndarray]:
        """Prediction losses on a whole split, no penalty: w (B, P) -> {"nll": (B,), "mse": (B,)}."""
        data = self.split(split)
        if self._by_gram(data):
            mse = data.gram.mse(w)
        else:
            widest = max(self.sizes[1:]) * len(w)
            step = max(1, CHUNK // widest)
            sums = [self._mse(w, data, slice(i, min(i + step, len(data)))) * (min(i + step, len(data)) - i)
                    for i in range(0, len(data), step)]  # fmt: skip
            mse = np.sum(sums, axis=0) / len(data)
        return {"nll": mlp.gaussian_nll(mse), "mse": mse}

    def evaluate_span(self, coefficients: np.ndarray, basis: np.ndarray, split: str) -> dict[str, np.ndarray]:
        """`evaluate` of w = coefficients (B, K) @ basis (K, P), cheaper than forming w where K < B."""
        data = self.split(split)
        if len(basis) >= len(coefficients) or not self._by_gram(data):
            return self.evaluate(coefficients @ basis, split)
        mse = data.gram.along(basis).mse(coefficients)
        return {"nll": mlp.gaussian_nll(mse), "mse": mse}

    def _mse(self, w: Array, data: RowSplit, batch: slice | None) -> Array:
        if batch is None and self._by_gram(data):
            return data.gram.mse(w)
        rows = batch or slice(None)
        return mlp.mse(w, data.rows[rows], data.targets[rows], self.sizes)

    def _by_gram(self, data: RowSplit) -> bool:
        return len(self.sizes) == 2 and len(data) > self.sizes[0]


def curve(problem: DecayProblem, response: WeightResponse, phi: list[Array], lam: np.ndarray) -> dict[str, np.ndarray]:
    """The losses of w_phi(lam) over one hyperparameter, lam (L,): curve_lambda, _train (penalised), _valid, _test."""
    column = lam[:, None]
    coefficients, basis = response.span(phi, column)
    losses = {"train": problem.train_loss(coefficients @ basis, column, None)}
    for split in ("valid", "test"):
        losses[split] = problem.evaluate_span(coefficients, basis, split)["nll"]
    return {"curve_lambda": lam, **{f"curve_{split}": loss for split, loss in losses.items()}}


def decay_space(penalty: str, sizes: tuple[int, ...], lam: float) -> HyperSpace:
    """The space of a penalty's strengths, value = exp(raw), each starting at the raw value `lam`."""
    size = penalty_length(penalty, sizes)
    return HyperSpace([Hyper(DECAY, math.exp(lam), low=0.0, log=True, shared=True, size=size)])
