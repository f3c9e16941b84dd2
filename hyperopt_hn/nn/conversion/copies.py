"""A deep copy of a model that has been called: what its modules computed last does not stand in the way."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn


def copy_of(model: nn.Module) -> Any:
    """A deep copy; computed tensors that modules keep (weight_norm's or pruned weights) are copied as they are now."""
    kept = [x for m in model.modules() for x in vars(m).values() if isinstance(x, Tensor) and not x.is_leaf]
    memo: dict[int, Any] = {id(x): x.detach().clone() for x in kept}
    return copy.deepcopy(model, memo)
