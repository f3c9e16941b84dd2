"""Which module first put out a number that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._pytree import tree_leaves

from hyperopt_hn.errors import NonFiniteError
from hyperopt_hn.nn.diagnosis.replays import untouched
from hyperopt_hn.nn.responses.base import Losses


@contextmanager
def located(losses: Losses, compute: Callable[[], object]) -> Iterator[None]:
    """Inside, a NonFiniteError also says at which module it begins, where that is found; `compute`: the loss again."""
    try:
        yield
    except NonFiniteError as error:
        where = _first_not_finite(losses.bare, losses.hypers.lam.device, compute)
        raise NonFiniteError(f"{error}; first {where}" if where else str(error)) from None


def _first_not_finite(model: nn.Module, device: torch.device, compute: Callable[[], object]) -> str:
    """Words for a message: computes a loss again, perhaps under other random masks; "" if it is finite now."""
    names = {module: name for name, module in model.named_modules()}
    found: list[str] = []

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        if module is model and not found and not _finite((args, kwargs)):
            found.append("in the batch itself")

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not found and not _finite(output) and _finite((args, kwargs)):
            found.append(f"in the output of {names[module] or 'the model'!r} ({type(module).__name__})")

    with untouched(model, device), suppress(Exception):
        hooks: list[Any] = [model.register_forward_pre_hook(before, with_kwargs=True)]
        hooks += [module.register_forward_hook(after, with_kwargs=True) for module in names]
        compute()
    for hook in hooks:
        hook.remove()
    return found[0] if found else ""


def _finite(tree: Any) -> bool:
    """Also of tangents, in a first-order pass."""
    for leaf in tree_leaves(tree):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            dual = forward_ad.unpack_dual(leaf)
            if not all(bool(part.isfinite().all()) for part in dual if part is not None):
                return False
    return True
