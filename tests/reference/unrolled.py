"""The obvious hypergradient: differentiate through every step of descent. Slow, and the truth as steps grow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def unrolled_slope(
    w: Tensor,
    lam: Tensor,
    losses: tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]],
    lr: float,
    steps: int,
) -> Tensor:
    """dL_V(w_K(λ))/dλ after K steps of gradient descent on L_T from w (P,), at lam (n,): (n,)."""
    train_loss, valid_loss = losses
    lam = lam.detach().requires_grad_()
    w = w.detach().requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(train_loss(w, lam), w, create_graph=True)
        w = w - lr * slope
    return torch.autograd.grad(valid_loss(w), lam)[0]
