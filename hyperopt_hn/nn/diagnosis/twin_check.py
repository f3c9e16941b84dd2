"""Whether the model at a λ and its collapsed twin give equal outputs, module by module, in evaluation mode."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import anywhere, at, hyper_layers
from hyperopt_hn.nn.conversion.collapsing import collapse
from hyperopt_hn.nn.diagnosis.calls import Call
from hyperopt_hn.nn.diagnosis.prints import Prints, parted
from hyperopt_hn.nn.diagnosis.reads.past_reads import widened
from hyperopt_hn.nn.diagnosis.replays import untouched
from hyperopt_hn.nn.responses.base import Losses, Response, evaluating
from hyperopt_hn.nn.responses.elementary import whole_precision

STEP = 0.5
"""How far from λ̂ the two are compared, in raw λ."""
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
        place = parted(*_comparable(losses.bare, one, two))
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
                    called(*args, **kwargs)
                else:
                    with at(model, where[0], h=where[1], values=losses.fixed):
                        called(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return prints


def _comparable(model: nn.Module, one: Prints, two: Prints) -> tuple[Prints, Prints]:
    """Without what is inside layers that respond, and what only one of the two calls."""
    heads = tuple(f"{name}." if name else "" for name, x in hyper_layers(model) if not anywhere(x))
    counts = [Counter(name for name, *_ in prints.found) for prints in (one, two)]
    both = {name for name in counts[0] if counts[0][name] == counts[1][name]}
    both = {name for name in both if not any(name != head[:-1] and name.startswith(head) for head in heads)}
    return one.only(both), two.only(both)
