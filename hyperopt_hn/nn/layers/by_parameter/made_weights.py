"""Weights that are made of parameters before they are read: by weight_norm, or standardised as in NFNets.

W = g v / |v|, or gain (W - mean) / std, row by row: what a row's factor gains is what the row gains, so that its
response is a gate of the weight that was made. A scale of v or of W itself is divided out again.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hyperopt_hn.nn.layers.by_parameter.reading import Escape, Reading, Use, carry, handles


@handles("_weight_norm")
def _weight_norm(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    v, g, *dim = args
    use = mode.use(g)
    if use is None or mode.use(v) is not None or kwargs or (dim and dim[0] != 0) or use.chain:
        raise Escape("_weight_norm")
    return mode.derive(func(v, g, *dim), _gated(use, g, 0))


def standardises(mode: Reading, func: Any, given: dict[str, Any]) -> bool:
    """Whether what is normalised is a weight (1, F, ...), row by row, not an activation."""
    x: Tensor = given["input"]
    made = mode.use(x) is not None or isinstance(x._base, nn.Parameter)
    return made and func.__name__ == "batch_norm" and x.dim() == 3 and x.shape[0] == 1


def standardised(mode: Reading, func: Any, given: dict[str, Any]) -> Tensor:
    """That weight with a gain (F,) that responds; Escape where none does."""
    own, gain = mode.use(given["input"]), mode.use(given.get("weight"))
    if gain is None or mode.use(given.get("bias")) is not None or (own is not None and own.axis != 1):
        raise Escape(func.__name__)
    if own is not None:
        carry(own.one, func.__name__)
    return mode.derive(func(**given), _gated(gain, given["weight"], 1))


def _gated(factor: Use, values: Tensor, axis: int) -> Use:
    rows = factor.entries()
    return Use(factor.one, factor.scope, axis, (_never,), [rows / values.flatten().to(rows.dtype)])


def _never(p: Tensor) -> Tensor:
    raise Escape("a weight made of parameters, entry by entry")
