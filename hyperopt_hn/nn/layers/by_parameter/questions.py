"""What can be asked of a tensor without reading its values, and the name of the torch function that asks."""

from __future__ import annotations

from typing import Any

_ASKING = (
    "shape dtype device ndim requires_grad is_cuda layout is_leaf grad grad_fn itemsize nbytes size dim numel "
    "stride is_floating_point is_complex is_contiguous data_ptr element_size get_device new_zeros new_ones "
    "new_empty new_full new_tensor zeros_like ones_like empty_like rand_like randn_like full_like __len__ "
    "__hash__ __repr__ _version register_hook untyped_storage nelement ndimension"
)
QUESTIONS = frozenset(_ASKING.split())
AS = frozenset(("to", "type_as", "expand_as", "view_as", "reshape_as"))
"""Where a tensor in a later place gives its type or shape alone."""


def called(func: Any) -> str:
    """ "shape" for the getter of `x.shape`, "add" for torch.add and Tensor.add, "linear" for F.linear."""
    name: str = getattr(func, "__name__", "")
    return func.__self__.__name__ if name == "__get__" and hasattr(func.__self__, "__name__") else name
