"""A deep copy of a model that has been called: what its modules computed last does not stand in the way; hooks stay."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn


def copy_of(model: nn.Module) -> Any:
    """A deep copy; computed tensors that modules keep (weight_norm's or pruned weights) are copied as they are now."""
    kept = [x for m in model.modules() for x in vars(m).values() if isinstance(x, Tensor) and not x.is_leaf]
    memo: dict[int, Any] = {id(x): x.detach().clone() for x in kept}
    twin = copy.deepcopy(model, memo)
    for own in model.parameters():
        _hooked(own, memo.get(id(own)))
    return twin


def _hooked(own: nn.Parameter, twin: Any) -> None:
    """Hooks on a gradient (a mask that keeps entries at zero), which torch leaves behind."""
    if twin is None or twin is own:
        return
    for hook in (own._backward_hooks or {}).values():
        twin.register_hook(hook)
    for hook in (getattr(own, "_post_accumulate_grad_hooks", None) or {}).values():
        twin.register_post_accumulate_grad_hook(hook)
