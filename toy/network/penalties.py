"""Penalties on the weights, under honest names; each takes strengths exp(lam) and weight vectors (B, P) to (B,).

The published penalties are UNSQUARED norms (the papers say "L2 weight decay"); the figures depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive

from hyperopt_hn.errors import UserError
from toy.network.graph import place
from toy.network.mlp import Layer, count, layers

Array = Any

PENALTIES = {
    "norm": "exp(lam) ||(W, b)||_2, biases included: one hyperparameter",
    "class_norms": "(1/10) sum_i exp(lam_i) ||W[:, i]||_2, biases left out: one per class",
    "weights": "mean_j exp(lam_j) w_j^2, biases included: one per weight",
}
CLASS_SHARE = 0.1  # the published factor before the sum over ten classes


def penalty_length(penalty: str, sizes: tuple[int, ...]) -> int | None:
    """How many strengths the penalty of a network has (None: a plain number). Raises UserError for a misfit."""
    if penalty not in PENALTIES:
        raise UserError(f"no penalty {penalty!r}; there are: {', '.join(PENALTIES)}")
    if penalty == "class_norms" and len(sizes) != 2:
        raise UserError(f"penalty 'class_norms' is for a network without hidden units, not {sizes}; take 'weights'")
    return {"norm": None, "class_norms": sizes[-1], "weights": count(sizes)}[penalty]


def penalise(penalty: str, strength: Array, w: Array, sizes: tuple[int, ...]) -> Array:
    """The penalty of that name: strength (B,) or (B, its length), w (B, P) -> (B,)."""
    if penalty == "norm":
        return strength * norm(w)
    if penalty == "class_norms":
        return CLASS_SHARE * anp.sum(strength * class_norms(w, layers(sizes)[0]), axis=1)
    return anp.mean(strength * w * w, axis=1)


@primitive
def norm(w: Array) -> Array:
    """The unsquared L2 norm of each weight vector, biases included: (B, P) -> (B,); gradient 0 at w = 0."""
    return np.sqrt(np.einsum("bp,bp->b", w, w))


defvjp(norm, lambda ans, w: lambda g: (g / _nonzero(ans))[:, None] * w)


@primitive
def class_norms(w: Array, layer: Layer) -> Array:
    """The unsquared L2 norm of each column of W, biases left out: (B, P) -> (B, fan_out)."""
    weights = layer.matrix(w)[:, :-1]
    return np.sqrt(np.einsum("bio,bio->bo", weights, weights))


def _class_norms_w(ans: Array, w: Array, layer: Layer) -> Callable[[Array], Array]:
    rows, size = layer.fan_in + 1, w.shape[1]
    kept = np.ones((rows, 1))
    kept[-1] = 0.0  # the biases

    def vjp(g: Array) -> Array:
        stretch = (g / _nonzero(ans))[:, None, :] * kept
        flat = anp.reshape(stretch, (-1, rows * layer.fan_out)) * w[:, layer.start : layer.stop]
        return flat if layer.stop - layer.start == size else place(flat, layer.start, size)

    return vjp


defvjp(class_norms, _class_norms_w, argnums=(0,))


def _nonzero(length: Array) -> Array:
    return length + (length == 0.0)
