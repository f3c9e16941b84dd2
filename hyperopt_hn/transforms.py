"""Maps between raw (unconstrained) and natural values, written once over an array namespace.

`xp` is numpy, autograd.numpy or torch; every function is elementwise, keeps the shape of its argument and is
differentiable in all three. Ranges follow MacKay et al. 2019 (`stn_utils/hyperparameter.py`), with stable forms:
the published log(exp(x) - 1) is infinite at x = 100 in float32.
"""

from __future__ import annotations

import math
from typing import Any

Array = Any
"""An array of the namespace in use; the namespaces share no common static type."""


def softplus(u: Array, xp: Any) -> Array:
    """log(1 + exp u) without overflow; (...) -> (...)."""
    return xp.logaddexp(xp.zeros_like(u), u)


def inv_softplus(y: Array, xp: Any) -> Array:
    """The u with softplus(u) = y, for y > 0; (...) -> (...)."""
    return y + xp.log(-xp.expm1(-y))


def sigmoid(u: Array, xp: Any) -> Array:
    """1 / (1 + exp -u), with full relative precision in both tails' small side; (...) -> (...)."""
    return xp.exp(-xp.logaddexp(xp.zeros_like(u), -u))


def logit(p: Array, xp: Any) -> Array:
    """The u with sigmoid(u) = p, for 0 < p < 1; (...) -> (...)."""
    return xp.log(p) - xp.log1p(-p)


def bounded(u: Array, low: float, high: float, xp: Any) -> Array:
    """Raw (...) to a value strictly between `low` and `high`; an infinite bound is no bound.

    (low, high): low + (high - low) sigmoid(u). (low, inf): low + softplus(u). (-inf, high): high - softplus(-u),
    so that the value always rises with u. (-inf, inf): u itself.
    """
    if math.isinf(low) and math.isinf(high):
        return u
    if math.isinf(high):
        return low + softplus(u, xp)
    if math.isinf(low):
        return high - softplus(-u, xp)
    return low + (high - low) * sigmoid(u, xp)


def unbounded(value: Array, low: float, high: float, xp: Any) -> Array:
    """The inverse of `bounded`: a value strictly inside (low, high) to raw; (...) -> (...)."""
    if math.isinf(low) and math.isinf(high):
        return value
    if math.isinf(high):
        return inv_softplus(value - low, xp)
    if math.isinf(low):
        return -inv_softplus(high - value, xp)
    return logit((value - low) / (high - low), xp)
