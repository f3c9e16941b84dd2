"""What a page needs to know of a hypernetwork with one hyperparameter and a linear network, few numbers of it.

Weights are w = a(λ) @ basis with K coefficients a, so every loss is a quadratic form of K numbers and is exact in the
page; the weights themselves, which are only looked at, are rounded to the
fewest small integers that keep them within 5e-7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toy.explore.exact import ExactResponse
from toy.network import mlp
from toy.network.gram import Gram
from toy.problems import DecayProblem
from toy.responses import MLPResponse
from toy.saved import SavedRun

SPLITS = ("train", "valid", "test")
INT16 = 32767
ROUNDING = 5e-7  # of a weight on the page


@dataclass(frozen=True)
class Curve:
    """A family of weights along λ: coefficients times a basis, and what the losses need of that."""

    basis: np.ndarray
    """(K, P)."""
    grams: dict[str, Gram]
    """Split -> its squared error as a quadratic form of the coefficients."""
    inner: np.ndarray
    """basis @ basis' (K, K), for the norm."""

    @classmethod
    def of(cls, basis: np.ndarray, problem: DecayProblem) -> Curve:
        grams = {split: problem.split(split).gram.along(basis) for split in SPLITS}
        return cls(basis, grams, basis @ basis.T)

    def losses(self, a: np.ndarray, lam: np.ndarray) -> dict[str, np.ndarray]:
        """Of coefficients a (L, K) at raw λ (L,): "train" with its penalty, "valid", "test", and "norm"."""
        norm = np.sqrt(np.maximum(np.einsum("lk,kj,lj->l", a, self.inner, a), 0.0))
        found = {split: np.asarray(mlp.gaussian_nll(gram.mse(a))) for split, gram in self.grams.items()}
        return {**found, "train": found["train"] + np.exp(lam) * norm, "norm": norm}


@dataclass(frozen=True)
class SmallNetwork:
    """Both responses of a run, the learned and the exact one, along λ."""

    saved: SavedRun
    problem: DecayProblem
    learned: Curve
    exact_response: ExactResponse
    exact: Curve

    @classmethod
    def of(cls, saved: SavedRun, problem: DecayProblem) -> SmallNetwork:
        _, basis = saved.response.span(saved.phi, saved.lam[None])
        response = ExactResponse.of(problem.train)
        return cls(saved, problem, Curve.of(basis, problem), response, Curve.of(response.basis, problem))

    def layer(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(weight (H,), bias (H,)) of the hypernetwork's hidden units; None of a linear one."""
        if isinstance(self.saved.response, MLPResponse):
            return self.saved.phi[0][0], self.saved.phi[1]
        return None

    def learned_coefficients(self, lam: np.ndarray) -> np.ndarray:
        """a (L, K) of the hypernetwork at raw λ (L,)."""
        return self.saved.response.span(self.saved.phi, lam[:, None])[0]

    def exact_coefficients(self, lam: np.ndarray) -> np.ndarray:
        """d (L, K) of the exact best response at raw λ (L,)."""
        return np.stack([self.exact_response.coefficients(float(one)) for one in lam])

    def directions(self, lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(turn (K, r), rows (r, P) int16): a @ turn @ rows are the hypernetwork's weights on the range of `lam`."""
        return rounded(self.learned_coefficients(lam), self.learned.basis)

    def image_side(self) -> int:
        """Pixels along an edge of the square images."""
        side = round(float(np.sqrt(self.problem.sizes[0])))
        if side * side != self.problem.sizes[0]:
            raise ValueError(f"inputs of {self.problem.sizes[0]} numbers are no square images")
        return side


def rounded(a: np.ndarray, basis: np.ndarray, most: float = ROUNDING) -> tuple[np.ndarray, np.ndarray]:
    """The fewest int16 rows that give a (L, K) @ basis (K, P) to `most`: a @ turn (K, r) @ rows (r, P).

    The directions are those of a singular value decomposition; one that matters much is kept as two rows, the second
    for what the first leaves.
    """
    whole = a @ basis
    _, _, right = np.linalg.svd(np.linalg.qr(a, mode="r") @ basis, full_matrices=False)
    count = 1
    while count < len(right) and np.abs(whole - whole @ right[:count].T @ right[:count]).max() > most / 2.0:
        count += 1
    turn, rows = [], []
    for direction in right[:count]:
        column, left = basis @ direction, direction
        reach = float(np.abs(a @ column).max())
        while True:
            scale = float(np.abs(left).max()) / INT16 or 1.0
            rows.append(np.rint(left / scale).astype(np.int16))
            turn.append(column * scale)
            left = left - rows[-1] * scale
            if reach * np.abs(left).max() <= most / 2.0 / count:
                break
    return np.stack(turn, axis=1), np.stack(rows)
