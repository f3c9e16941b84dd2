"""A linear network's mean squared error without its rows: a quadratic form of its weights.

Legend: B weight vectors, N rows, D inputs, P weights; a weight vector is the matrix [W; b] row by row (see `mlp`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from autograd.extend import defvjp, primitive
from autograd.tracer import getval, isbox

Array = Any


@dataclass(frozen=True)
class Gram:
    """||XW - T||^2 = tr W'GW - 2 tr W'C + ||T||^2 with G = X'X, C = X'T: N rows for the price of D + 1.

    Exact to about 1e-13 relative unless the error is tiny beside the targets.
    """

    gram: np.ndarray
    """G (D + 1, D + 1)."""
    cross: np.ndarray
    """C, raveled as weight vectors are: (P,)."""
    total: float
    """||T||^2."""
    terms: int
    """N x out, how many squares the mean is over."""

    @classmethod
    def of(cls, rows: np.ndarray, targets: np.ndarray) -> Gram:
        """From augmented rows (N, D + 1) and targets (N, out)."""
        return cls(rows.T @ rows, (rows.T @ targets).ravel(), float(np.vdot(targets, targets)), targets.size)

    def along(self, basis: np.ndarray) -> Gram:
        """The same error as a quadratic form in the coefficients a of w = a @ basis: basis (K, P), then a (B, K)."""
        return Gram(_product(basis, self) @ basis.T, basis @ self.cross, self.total, self.terms)

    def mse(self, w: Array) -> Array:
        """Mean squared error of linear networks: (B, P) -> (B,). One product with G serves value and gradient."""
        return _quadratic(w, _product(getval(w), self), self)

    @cached_property
    def live(self) -> tuple[Any, np.ndarray]:
        """Where G is not zero, and G there: a sixth of MNIST's pixels are never lit."""
        lit = self.gram.diagonal() > 0.0
        return (slice(None), self.gram) if lit.all() else (np.flatnonzero(lit), self.gram[np.ix_(lit, lit)])


@primitive
def _product(w: Array, quadratic: Gram) -> Array:
    """G W of every weight vector, in one matrix product: (B, P) -> (B, P)."""
    live, gram = quadratic.live
    product = np.zeros((len(w), len(quadratic.gram), w.shape[1] // len(quadratic.gram)))
    matrices = w.reshape(product.shape)[:, live]
    if len(w) == 1:
        product[0, live] = (matrices[0].T @ gram).T  # G is symmetric; from this side it is 30 % faster
    else:  # side by side, because a product for each network is 5 times slower
        wide = gram @ matrices.transpose(1, 0, 2).reshape(len(gram), -1)
        product[:, live] = wide.reshape(len(gram), len(w), -1).transpose(1, 0, 2)
    return product.reshape(w.shape)


defvjp(_product, lambda ans, w, quadratic: lambda g: _product(g, quadratic), argnums=(0,))


@primitive
def _quadratic(w: Array, product: np.ndarray, quadratic: Gram) -> Array:
    return (np.einsum("bp,bp->b", w, product) - 2.0 * (w @ quadratic.cross) + quadratic.total) / quadratic.terms


def _quadratic_w(ans: Array, w: Array, product: np.ndarray, quadratic: Gram) -> Callable[[Array], Array]:
    def vjp(g: Array) -> Array:
        residual = (_product(w, quadratic) if isbox(w) else product) - quadratic.cross
        return (2.0 / quadratic.terms * g)[:, None] * residual

    return vjp


defvjp(_quadratic, _quadratic_w, argnums=(0,))
