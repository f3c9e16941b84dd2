"""Backward passes in which parts of a model that are computed again (checkpoints) still answer for λ.

torch leaves its function modes, by which parameters respond wherever they are read, when `backward` or `grad` is called
with tensors; with the edges of its graph it does not. One thread does all the work, since λ is known to the thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.layers.by_parameter.reading import going_back


def backward(loss: Tensor) -> None:
    """Add a loss's gradients to the leaves behind it."""
    with going_back(), torch.autograd.set_multithreading_enabled(False):
        torch.autograd.backward(get_gradient_edge(loss))


def gradient(loss: Tensor, x: Tensor) -> Tensor | None:
    """∂loss/∂x; None where no path leads from the one to the other."""
    edges = get_gradient_edge(loss), get_gradient_edge(x)
    with going_back(), torch.autograd.set_multithreading_enabled(False):
        found: Tensor | None = torch.autograd.grad(*edges, allow_unused=True)[0]
    return found


@contextmanager
def in_one_line() -> Iterator[None]:
    """Inside, what cannot be differentiated again is a UserError with the remedy."""
    try:
        yield
    except RuntimeError as error:
        for sign, words in _WORDS.items():
            if sign in str(error):
                raise UserError(words) from error
        raise


_WORDS = {
    "differentiated Tensors does not require grad": "the model or its loss differentiates its own weights "
    "(torch.autograd.grad inside it), which are held still while a response or λ is trained: no response can follow "
    "that; take their derivatives where they are detached, or tune by a search (SelfTuner.objective)",
    "When use_reentrant=True": "torch.utils.checkpoint with use_reentrant=True cannot be differentiated in λ; call it "
    "with use_reentrant=False",
}
"""A part of torch's message -> ours."""
