"""The exact best response of a linear network under the unsquared norm, in closed form but for one number.

L_T(W) = 50 ||XW - T||^2 / (N C) + e^λ ||W|| is least where (X'X + μ) W = X'T with μ = e^λ NC / (100 ||W||). In the
singular vectors of X = L S R' that is W = Σ_k s_k / (s_k² + μ) R_k (L'T)_k, and μ ||W(μ)|| rises from 0 to ||X'T||: so
μ is the root of a rising function, and W = 0 where e^λ NC / 100 is beyond its end.
Legend: N rows, D inputs, C outputs, K singular values, P = (D + 1) C weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyperopt_hn import UserError
from toy.network import mlp
from toy.problems import DecayProblem, RowSplit

MOST = 64  # singular values: a page holds a vector of P weights for each
HALVINGS = 200  # of the interval around ln μ
LOWEST, HIGHEST = -40.0, 40.0  # ln μ


@dataclass(frozen=True)
class ExactResponse:
    """w*(λ) = Σ_k d_k(λ) basis_k."""

    values: np.ndarray
    """s (K,), singular values of the augmented rows."""
    lengths: np.ndarray
    """||(L'T)_k|| (K,)."""
    inputs: np.ndarray
    """R_k (K, D + 1)."""
    outputs: np.ndarray
    """(L'T)_k (K, C)."""
    scale: float
    """NC / 100: the penalty's weight against the squared error."""

    @classmethod
    def of(cls, train: RowSplit) -> ExactResponse:
        """From the training rows. Raises UserError where there are too many of them for a page."""
        left, values, right = np.linalg.svd(train.rows, full_matrices=False)
        kept = values > values[0] * 1e-10
        if kept.sum() > MOST:
            raise UserError(f"the exact response is for at most {MOST} training images; make the run with --n-train 10")
        targets = left[:, kept].T @ train.targets
        scale = train.targets.size / (2.0 * mlp.NLL_PER_MSE)
        return cls(values[kept], np.sqrt(np.sum(targets**2, axis=1)), right[kept], targets, scale)

    @property
    def basis(self) -> np.ndarray:
        """R_k (L'T)_k' as weight vectors (K, P)."""
        return (self.inputs[:, :, None] * self.outputs[:, None, :]).reshape(len(self.inputs), -1)

    def coefficients(self, lam: float) -> np.ndarray:
        """d (K,) at raw λ, 0 where the penalty leaves no weight."""
        wanted = np.exp(lam) * self.scale
        if wanted >= np.sqrt(np.sum((self.values * self.lengths) ** 2)):
            return np.zeros_like(self.values)
        low, high = LOWEST, HIGHEST
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            mu = np.exp(middle)
            found = mu * np.sqrt(np.sum((self.values / (self.values**2 + mu) * self.lengths) ** 2))
            low, high = (middle, high) if found < wanted else (low, middle)
        coefficients: np.ndarray = self.values / (self.values**2 + np.exp((low + high) / 2.0))
        return coefficients

    def weights(self, lam: float) -> np.ndarray:
        """w*(λ) (P,)."""
        return self.coefficients(lam) @ self.basis


def has_exact(problem: DecayProblem) -> bool:
    """Whether the closed form is this problem's: a linear network under one unsquared norm, few training rows."""
    return problem.penalty == "norm" and len(problem.sizes) == 2 and len(problem.train) <= MOST
