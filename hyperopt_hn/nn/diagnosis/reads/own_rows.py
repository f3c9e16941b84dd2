"""Whether parameters that respond by themselves do so for every example: those read in other ways are made plain.

A module's code may do anything with its parameters. In the first train step it is noted where one is read by a function
for which no response of its own for every example is known. Then the step's calls are made again twice at the same λ:
as one for the batch, which is right whatever is computed, and as one row an example. Where the outputs of a module
differ, the parameters read there are made plain too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import anywhere, at
from hyperopt_hn.nn.conversion.binding import silence
from hyperopt_hn.nn.conversion.converter import leave
from hyperopt_hn.nn.diagnosis.calls import Call, responding
from hyperopt_hn.nn.diagnosis.made_plain import few, parameters_made_plain
from hyperopt_hn.nn.diagnosis.prints import Prints, comparable, parted
from hyperopt_hn.nn.diagnosis.reads.past_reads import enlarged, filled, printed
from hyperopt_hn.nn.layers.by_parameter.movement import moving
from hyperopt_hn.nn.layers.by_parameter.reading import UNKNOWN, Escapes, escapes
from hyperopt_hn.nn.responses.base import Losses, evaluating

REASON = f"it is read in a way for which {UNKNOWN}"
_ROUNDS = 5


def settle_own(losses: Losses, calls: list[Call], seen: Escapes, rows: int | None) -> list[str]:
    """Make plain what cannot respond row by row (`rows` in the batch; None: one λ a batch), and warn once; the names.

    Raises UserError with the first module whose outputs still differ.
    """
    bare = losses.bare
    if next(_own(bare), None) is None:
        return []
    plain = _made_plain(bare, seen)
    place: str | None = None
    for _ in range(_ROUNDS if rows is not None and calls else 0):
        with escapes() as found:
            try:
                place = _compared(losses, calls, rows or 1)
            except Exception:
                place = None  # a model that cannot be called again so: nothing more is known of it
        plain += _made_plain(bare, found)
        if place is None and not found:
            break
        if place is not None:
            inside = {id(x): {one.name: one for one in moving(x)} for x in _at(bare, place)}
            more = _made_plain(bare, inside)
            plain += more
            if not more and not found:
                break
    if place is not None:
        raise UserError(
            f"from module {place!r} on, outputs at a λ for each example differ from those at one λ; leave it out by "
            "convert(..., exclude=[...])"
        )
    if plain:
        warnings.warn(
            f"parameters that do not respond to λ: {few(plain)} (read in a way for which {UNKNOWN}). They train as "
            "before; report(model) lists them",
            stacklevel=4,
        )
    return plain


def _own(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, layer) for name, layer in responding(model) if anywhere(layer))


def _at(model: nn.Module, place: str) -> list[Any]:
    """The modules that respond by themselves inside the one of this name, or else those around it."""
    inside = [x for name, x in _own(model) if name == place or name.startswith(f"{place}.") or not place]
    return inside or [x for name, x in _own(model) if not name or place.startswith(f"{name}.")]


def _made_plain(model: nn.Module, found: Escapes) -> list[str]:
    """Make these parameters plain, and all that share one of them; the names of those that do not respond now."""
    ids = {id(one.own) for names in found.values() for one in names.values()}
    carried = ids - {id(one.own) for names in found.values() for one in names.values() if not one.carried}
    names: list[str] = []
    for path, layer in list(_own(model)):
        every = list(moving(layer))
        off = [one for one in every if id(one.own) in ids]
        parameters_made_plain(layer, {one.name for one in off})
        for one in off:
            if id(one.own) in carried:
                continue
            full = f"{path}.{one.name}" if path else one.name
            names.append(full)
            leave(model, path, REASON, None if len(off) == len(every) else (full, one.own.numel()))
        if off and len(off) == len(every):
            silence(layer)
    return names


def _compared(losses: Losses, calls: list[Call], rows: int) -> str | None:
    """The first module at which one λ and as many equal ones as the batch has rows give other outputs."""
    bare, lam = losses.bare, losses.hypers.lam.detach()
    both = lam, lam.expand(rows, -1)
    with evaluating(bare), filled(enlarged(bare)):
        one, two = (_prints(losses, calls, here) for here in both)
        place = parted(*comparable(bare, one, two))
        if place is not None and not _at(bare, place):
            return None  # a layer of the table's, which this is not about
        if place is not None and parted(one, _prints(losses, calls, lam)) is not None:
            return None  # it draws random numbers in a way of its own
    return place


def _prints(losses: Losses, calls: list[Call], lam: torch.Tensor) -> Prints:
    with at(losses.bare, lam, h=torch.ones_like(lam), values=losses.fixed):
        return printed(losses, calls)
