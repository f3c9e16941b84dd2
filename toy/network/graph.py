"""Two things autograd does by copying, done in place: gradients of a list of arrays, and of a slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd.core import VJPNode, add_outgrads
from autograd.extend import SparseObject, defvjp, primitive, vspace
from autograd.tracer import isbox, new_box, toposort, trace_stack

Array = Any


def value_and_grads(loss: Callable[[list[Array]], Array], params: Sequence[np.ndarray]) -> tuple[float, list[Array]]:
    """The mean of the losses (B,) or () that loss(params) returns, and its gradient for each array of the list.

    `autograd.grad` of a list fills a list of zeros and adds every gradient to it: four passes over phi that this
    spares on the same tape. An array on which the loss does not depend gets zeros.
    """
    roots = [VJPNode.new_root() for _ in params]
    with trace_stack.new_trace() as level:
        losses = loss([new_box(p, level, root) for p, root in zip(params, roots, strict=True)])
    found: dict[Any, Any] = {}
    if isbox(losses) and losses._trace == level:
        end, losses = losses._node, losses._value
        found[end] = (np.full_like(losses, 1.0 / np.size(losses)), False)
        for node in toposort(end):
            if node.parents:
                gradient = found.pop(node)[0]
                for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
                    found[parent] = add_outgrads(found.get(parent), part)
    grads = [found[r][0] if r in found else np.zeros_like(p) for r, p in zip(roots, params, strict=True)]
    return float(np.mean(losses)), grads


@primitive
def place(flat: Array, start: int, size: int) -> SparseObject:
    """The gradient of w[:, start:stop] as autograd adds it up: `flat` (B, stop - start) placed in zeros (B, size)."""

    def add_to(total: np.ndarray) -> np.ndarray:
        total[:, start : start + flat.shape[1]] += flat
        return total

    return SparseObject(vspace(np.broadcast_to(np.float64(0.0), (len(flat), size))), add_to)


defvjp(place, lambda ans, flat, start, size: lambda g: g[:, start : start + flat.shape[1]], argnums=(0,))
