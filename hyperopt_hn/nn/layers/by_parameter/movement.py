"""The parameters of a module that respond by themselves, and how each moves with the response input h.

B batch, n tuned hyperparameters; h is (n,) or (B, n).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from hyperopt_hn.config import described
from hyperopt_hn.nn.layers.affine_response import product

PREFIX = "response_of_"
"""A parameter's response is the module's parameter of this name and its own."""


@described
@dataclass(frozen=True)
class Moving:
    """One parameter p of a module with its response: p + V h, or (1 + S h) ⊙ p along `axis`."""

    layer: nn.Module
    name: str
    own: nn.Parameter
    response: nn.Parameter
    axis: int | None
    carried: bool = False
    """Whether another parameter's response stands for its own."""

    def rows(self, h: Tensor) -> Tensor:
        """V h or S h: (rows,), or (B, rows)."""
        return product(h, self.response)

    def change(self, h: Tensor, rows: Tensor | None = None) -> Tensor:
        """p(λ) - p: of p's shape, or (B, *shape)."""
        rows = self.rows(h) if rows is None else rows
        rows, lead = rows.to(self.own.dtype), rows.shape[:-1]
        if self.axis is None:
            return rows.reshape((*lead, *self.own.shape))
        shape = [1] * self.own.dim()
        shape[self.axis] = -1
        return rows.reshape(*lead, *shape) * self.own


def moving(layer: nn.Module) -> Iterator[Moving]:
    """The parameters of one module that respond by themselves."""
    kept: dict[str, nn.Parameter] = vars(layer).get("response_kept") or {}
    for key, response in layer._parameters.items():
        name = key.removeprefix(PREFIX)
        if name == key or name in vars(layer)["response_off"] or response is None:
            continue
        own = kept.get(name, layer._parameters[name])
        assert own is not None
        yield Moving(layer, name, own, response, vars(layer)["response_axes"][name])


def axis_of(module: nn.Module, own: Tensor) -> int | None:
    """The axis along which a parameter is scaled: a table's features, else its first axis that is no mere 1.

    None for one with no more than one axis longer than 1, which moves entry by entry.
    """
    if own.dim() < 2 or own.numel() == max(own.shape):
        return None
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) or own.shape[0] == 1:
        return own.dim() - 1
    return 0
