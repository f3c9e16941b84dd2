"""A bilevel problem that is known by its oracles alone (values and gradients), as `toy.tuner` asks for one.

Of the benchmark's variables the outer one is outer_var0 + λ, so that λ starts at 0, and the inner one is inner_var0 +
w_φ(λ). An outer objective may depend on the outer variable directly; `toy`'s L_V is a function of weights alone. So
the response here gives λ along with the weights, as one row [w, λ], and dL_V/dλ has both of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive

from hyperopt_hn import Hyper, HyperSpace
from toy.responses import WeightResponse

Array = Any
RowsOracle = Callable[[np.ndarray, np.ndarray, slice | None], tuple[np.ndarray, np.ndarray, np.ndarray | None]]
"""(w (B, P), λ (B, n), rows) -> values (B,), gradients in w (B, P), and in λ (B, n) or None where it is not asked."""


@dataclass(frozen=True)
class CarriedResponse:
    """A response that gives [w, λ], (B, P + n), for λ (B, n): whatever reads its weights can read λ as well."""

    inner: WeightResponse

    def init(self, rng: np.random.RandomState) -> list[np.ndarray]:
        """Fresh φ: that of the response within."""
        return self.inner.init(rng)

    def __call__(self, phi: list[Array], lam: Array) -> Array:
        """(B, n) -> (B, P + n)."""
        return anp.concatenate([self.inner(phi, lam), lam], axis=1)

    def span(self, phi: list[np.ndarray], lam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (B, B), the identity, and the rows themselves (B, P + n)."""
        return np.eye(len(lam)), self(phi, lam)


@dataclass(frozen=True)
class OracleProblem:
    """A ToyProblem made of an inner and an outer oracle; its rows of weights are those of a CarriedResponse.

    n is the size of the outer variable; `counts` has the number of samples of "train" (inner) and "valid" (outer).
    The inner oracle need not differentiate in λ: nothing here ever does.
    """

    inner: RowsOracle
    outer: RowsOracle
    n: int
    counts: dict[str, int]

    @property
    def space(self) -> HyperSpace:
        """λ, the way from the benchmark's start: one unbounded vector (n,) that begins at 0."""
        return HyperSpace([Hyper("outer", 0.0, shared=True, size=self.n)])

    def rows(self, split: str) -> int:
        """How many samples a split has."""
        return self.counts[split]

    def train_loss(self, w: Array, lam: Array, batch: slice | None) -> Array:
        """The inner objective of each row of w (B, P + n) at lam (B, n), on a batch of samples (None: all): (B,)."""
        return _oracle_value(w[:, : -self.n], lam, self.inner, batch, {})

    def valid_loss(self, w: Array, batch: slice | None) -> Array:
        """The outer objective of each row of w (B, P + n), on a batch of samples (None: all): (B,)."""
        return _oracle_value(w[:, : -self.n], w[:, -self.n :], self.outer, batch, {})

    def evaluate(self, w: np.ndarray, split: str) -> dict[str, np.ndarray]:
        """The outer objective on all of its samples, whichever split is asked for: the benchmark has no third."""
        return {"nll": self.valid_loss(w, None)}


@primitive
def _oracle_value(w: Array, lam: Array, oracle: RowsOracle, batch: slice | None, kept: dict[str, Any]) -> Array:
    """The oracle's values (B,); the gradients that come with them wait in `kept` for the backward pass."""
    values, kept["w"], kept["lam"] = oracle(w, lam, batch)
    return values


defvjp(
    _oracle_value,
    lambda ans, w, lam, oracle, batch, kept: lambda g: g[:, None] * kept["w"],
    lambda ans, w, lam, oracle, batch, kept: lambda g: g[:, None] * kept["lam"],
    argnums=(0, 1),
)
