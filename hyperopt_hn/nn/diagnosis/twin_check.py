"""Whether the model at a λ and its collapsed twin give equal outputs, module by module, in evaluation mode."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import at
from hyperopt_hn.nn.conversion.collapsing import collapse
from hyperopt_hn.nn.diagnosis.calls import Call
from hyperopt_hn.nn.diagnosis.prints import Prints, comparable, parted
from hyperopt_hn.nn.diagnosis.reads.past_reads import widened
from hyperopt_hn.nn.diagnosis.replays import untouched
from hyperopt_hn.nn.modules.places import innermost
from hyperopt_hn.nn.responses.base import Losses, Response, evaluating
from hyperopt_hn.nn.responses.elementary import whole_precision

STEP = 0.5
"""How far from λ̂ the two are compared, in raw λ."""
_NO_LAMBDA = "λ is unknown here"
CALLS = 4
"""So many calls of the model are compared."""


@torch.no_grad()
def check_twin(losses: Losses, response: Response, calls: list[Call]) -> None:
    """Raise UserError with the first module at which they part, on these calls of the model; nothing else changes.

    A model that cannot be copied or called again is not looked at.
    """
    lam = losses.hypers.lam.detach() + STEP
    h = response.input(losses, lam)
    try:
        twin = collapse(losses.bare, lam, h=h)
        one = _prints(losses, losses.bare, (lam, h), calls)
        two = _prints(losses, twin, None, calls)
        place = parted(*comparable(losses.bare, one, two))
        if place is not None and parted(one, _prints(losses, losses.bare, (lam, h), calls)) is not None:
            return  # it draws random numbers in a way of its own
    except UserError:
        raise
    except Exception:
        return
    if place is not None:
        raise UserError(
            f"at another λ the model and its collapsed twin part at module {place!r}: it, or code just before it, "
            "reads a weight past its layer in evaluation mode; leave that layer out by convert(..., exclude=[...])"
        )


def _prints(losses: Losses, model: nn.Module, where: tuple[Tensor, Tensor] | None, calls: list[Call]) -> Prints:
    lam = losses.hypers.lam
    names = {module: name for name, module in losses.bare.named_modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it leaves padded places out, which counts as another output
    try:
        with untouched(model, lam.device), evaluating(model), whole_precision(lam.device), Prints(model) as prints:
            for module, args, kwargs in widened(calls, losses.dtype, lam.dtype):
                called = model.get_submodule(names[module])
                if where is None:
                    _plainly(called, args, kwargs)
                else:
                    with at(model, where[0], h=where[1], values=losses.fixed):
                        called(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return prints


def _plainly(twin: nn.Module, args: Any, kwargs: Any) -> None:
    try:
        twin(*args, **kwargs)
    except UserError as error:
        if _NO_LAMBDA not in str(error):
            raise
        place = innermost(twin, error)
        raise UserError(
            f"the collapsed twin of this model still calls a layer that responds, which module {place!r} keeps where "
            "conversion does not look (a partial, a bound method, an object); let it call self.<name of the layer>, or "
            "leave that layer out by convert(..., exclude=[...])"
        ) from error
