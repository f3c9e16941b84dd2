"""Lookups in a table that stands for one at λ: rules for its gradient are for the table that is trained.

`padding_idx`, `scale_grad_by_freq` and `sparse` say how the rows of a table are trained. Where the table is one at λ,
they would also alter the gradient in λ and in the response, which have nothing to do with them.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from hyperopt_hn.nn.layers.by_parameter.movement import Moving


def ruled(layer: nn.Module) -> bool:
    """Whether a module's table has such rules."""
    if not isinstance(layer, nn.Embedding):
        return False
    return layer.padding_idx is not None or layer.scale_grad_by_freq or layer.sparse


class Tables(TorchFunctionMode):
    """Inside, rows of these tables are looked up in the trained one, by its rules, and moved after that."""

    def __init__(self, tables: dict[int, tuple[Moving, Tensor]]) -> None:
        """id of a table at λ -> the parameter that it stands for, and h (n,)."""
        super().__init__()
        self._tables = tables

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.embedding:
            return func(*args, **kwargs)
        given = inspect.signature(F.embedding).bind(*args, **kwargs).arguments
        one, h = self._tables.get(id(given["weight"]), (None, None))
        if one is None or h is None or one.axis != 1:
            return func(*args, **kwargs)
        rows = func(**{**given, "weight": one.own})
        return rows * (1 + one.rows(h)).to(rows.dtype)
