"""A value through which no gradient flows back, except into a derivative that is itself differentiated."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def no_way_back(x: Tensor) -> Tensor:
    """x, for a product with a factor that is zero: what flows back through the product is zero too.

    A model may differentiate its outputs in its inputs (forces, gradient penalties). The derivative of such a
    derivative in the factor is not zero, so that there, under create_graph, the way back stays open.
    """
    if not x.requires_grad or torch.compiler.is_compiling():
        return x.detach()
    out: Tensor = _Still.apply(x)
    return out


class _Still(torch.autograd.Function):
    """The identity."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> Tensor | None:
        return grad if torch.is_grad_enabled() else None
