"""p(λ|λ̂) = N(λ̂, diag σ²) in raw space, and its entropy. The noise is passed in, so the caller owns every draw.

MacKay et al. 2019, sec. 3.3; `xp` is numpy, autograd.numpy or torch.
"""

from __future__ import annotations

import math
from typing import Any

from hyperopt_hn.transforms import Array


def perturb(lam: Array, sigma: Array, eps: Array, shared: Array, xp: Any) -> Array:
    """λ̂ + σ ε, one row per example; columns marked `shared` take the first row's noise for the whole batch.

    lam (n,), sigma (n,), eps (B, n), shared (n,) bool -> (B, n). Differentiable in lam and sigma.
    """
    noise = xp.where(shared, eps[:1], eps)
    return lam + sigma * noise


def entropy(sigma: Array, xp: Any) -> Array:
    """Differential entropy of N(·, diag σ²) in nats, summed over hyperparameters: Σ ln(σ_i sqrt(2πe)); (n,) -> ()."""
    half_log_2pie = 0.5 * math.log(2.0 * math.pi * math.e)
    return xp.sum(xp.log(sigma) + half_log_2pie)
