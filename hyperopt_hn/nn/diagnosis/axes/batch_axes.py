"""Which axis of each layer's input is the batch: measured at two sizes of a batch, never read from equal sizes.

Each outermost call of the model in the first train step that draws one λ per example is made beforehand at λ̂, on its
own arguments and on those of a batch with a row less. The axis of a layer's input that shrinks with the batch is the
batch; where it holds several rows of each example, values tell in which order, and a third call with two rows swapped
tells whether rows come in the batch's own order (not sorted by length). A layer whose input has none (a position table,
a learned query) has no example's λ: with a response it is made plain, by name in the report, a dropout takes the mean
of the batch's rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import anywhere, at, hyper_layers, named_own
from hyperopt_hn.nn.conversion.binding import fed_along, freeze_response, within
from hyperopt_hn.nn.diagnosis.axes.batch_places import (
    ANY,
    OTHER,
    BatchPlace,
    in_another_order,
    only_axis,
    ordered,
    place_of,
    plain_of,
)
from hyperopt_hn.nn.diagnosis.axes.two_sizes import Pair, TwoSizes
from hyperopt_hn.nn.diagnosis.calls import Call, responding
from hyperopt_hn.nn.diagnosis.made_plain import few, make_plain
from hyperopt_hn.nn.diagnosis.replays import untouched
from hyperopt_hn.nn.responses.base import Losses, evaluating, training
from hyperopt_hn.nn.setup.batches import Batch

Inputs = dict[int, list[Tensor]]
"""id of a layer -> what it was fed, call by call."""


@contextmanager
def batch_axes_measured(
    losses: Losses, batch: Batch, wanted: bool = True, validation: bool = False
) -> Iterator[Callable[[], None]]:
    """Inside, every call of the model on this batch first tells its layers where the batch is, until told to end.

    Where that cannot be measured (a batch that is not cut by rows, a model that takes this batch alone), layers go by
    `set_batch_dim`, and ask for it where sizes coincide. Raises UserError where a recurrent or attention layer takes
    another axis for the batch, and where no layer is left to respond.
    """
    sizes = TwoSizes.of(losses, batch, validation) if wanted else None
    if sizes is None:
        yield lambda: None
        return
    measure = _Measure(losses, sizes)
    if losses.model is not losses.bare:  # compiled or distributed: hooks would be traced, so the loss is called apart
        with measure:
            sizes.compute(losses, 0)
        measure.settle()
        yield lambda: None
        return
    with measure:
        yield measure.end
    for name, layer in hyper_layers(losses.bare):
        if name in measure.plain:  # once more: the step gave back what it had frozen
            freeze_response(layer)


class _Measure:
    """Hooks that measure each outermost call of a model before it is made."""

    def __init__(self, losses: Losses, sizes: TwoSizes) -> None:
        self.losses, self.sizes = losses, sizes
        self.plain: list[str] = []
        self._places: dict[int, list[BatchPlace]] = {}
        self._seen: list[Any] = []
        self._depth, self._count, self._ended = 0, 0, False
        self._hooks: list[Any] = []

    def __enter__(self) -> None:
        for module in self.losses.bare.modules():
            self._hooks.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
            self._hooks.append(module.register_forward_hook(self._after, always_call=True))

    def __exit__(self, *how: Any) -> None:
        for hook in self._hooks:
            hook.remove()

    def end(self) -> None:
        """No more: what comes now may be parts of the batch, or another one."""
        self._ended = True

    def settle(self) -> None:
        """Tell the layers what was found."""
        self.plain += _settle(self.losses.bare, self._places)

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._depth += 1
        if self._depth > 1 or self._ended:
            return
        leaves, form = tree_flatten((args, kwargs))
        kind = module, form, [x.shape if isinstance(x, Tensor) else type(x) for x in leaves]
        if not any(module is known[0] and kind[1:] == known[1:] for known in self._seen):
            self._seen.append(kind)
            self._measured((module, args, kwargs))
        self._count += 1

    def _after(self, *_: Any) -> None:
        self._depth -= 1

    def _measured(self, call: Call) -> None:
        try:
            pair = self.sizes.pair(self.losses, call, self._count)
            found = {} if pair is None else self._found(call[0], pair)
            swapped = self.sizes.swapped(self.losses, call, self._count) if found and pair is not None else None
            if pair is not None and swapped is not None:
                self._in_order(call[0], (pair[0], swapped), found)
        except Exception:
            return  # it cannot be called at another size: nothing is known of it
        for key, places in found.items():
            self._places.setdefault(key, []).extend(places)
        if self.losses.model is self.losses.bare:
            self.settle()

    def _found(self, module: nn.Module, pair: Pair) -> dict[int, list[BatchPlace]]:
        """id of each layer that was called -> where its batch was; nothing of those of which this is unclear."""
        found = self._compared(module, pair, training, in_order=False)
        several = {key for key, places in found.items() if any(place.k > 1 for place in places)}
        if several:  # by values, and random numbers would differ at two sizes
            again = self._compared(module, pair, evaluating, in_order=True)
            found = {key: places for key, places in found.items() if key not in several}
            found |= {key: again[key] for key in several if key in again}
        return found

    def _in_order(self, module: nn.Module, pair: Pair, found: dict[int, list[BatchPlace]]) -> None:
        """Of the layers in `found`, tell those whose rows are the batch's in another order."""
        one, two = (self._inputs(module, given, evaluating) for given in pair)
        for key, places in found.items():
            a, b = one.get(key, []), two.get(key, [])
            if len(a) == len(b) == len(places):
                found[key] = [
                    replace(place, why=OTHER)
                    if place.k == 1 and not place.why and in_another_order(x, y, place.axis)
                    else place
                    for place, x, y in zip(places, a, b, strict=True)
                ]

    def _compared(
        self, module: nn.Module, pair: Pair, mode: Callable[[nn.Module], Any], in_order: bool
    ) -> dict[int, list[BatchPlace]]:
        one, two = (self._inputs(module, given, mode) for given in pair)
        found = dict[int, list[BatchPlace]]()
        for _, layer in hyper_layers(self.losses.bare):
            a, b = one.get(id(layer), []), two.get(id(layer), [])
            plain, rows = plain_of(layer), self.sizes.rows
            places = [place_of(plain, x, y, rows) for x, y in zip(a, b, strict=False)]
            if in_order:
                places = [ordered(place, x, y, rows) for place, x, y in zip(places, a, b, strict=False)]
            known = [place for place in places if place is not None]
            if anywhere(layer):  # what its code reads may have more axes than its input
                known = [replace(place, lead=max(place.lead, 2)) if place.k == 1 else place for place in known]
            if a and len(known) == len(a) == len(b):
                found[id(layer)] = known
        return found

    def _inputs(self, module: nn.Module, given: Any, mode: Callable[[nn.Module], Any]) -> Inputs:
        bare, lam = self.losses.bare, self.losses.hypers.lam.detach()
        there = at(bare, lam, lam, values=self.losses.fixed)
        with untouched(bare, lam.device, torchs_hooks_alone=True), mode(bare), there, _watched(bare) as seen:
            module(*given[0], **given[1])
        return seen


@contextmanager
def _watched(model: nn.Module) -> Iterator[Inputs]:
    seen: Inputs = {}

    def take(layer: nn.Module, args: Any, kwargs: Any) -> None:
        x = next(iter([*args, *kwargs.values()]), None)
        if isinstance(x, Tensor):
            seen.setdefault(id(layer), []).append(x.detach())

    layers: list[Any] = [layer for _, layer in hyper_layers(model)]
    hooks = [layer.register_forward_pre_hook(take, with_kwargs=True) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _settle(model: nn.Module, found: dict[int, list[BatchPlace]]) -> list[str]:
    layers = dict(hyper_layers(model))
    inside = dict(within(list(layers.items())))
    plain: dict[str, list[str]] = {}
    for name, layer in layers.items():
        if id(layer) not in found or name in inside:
            continue
        own = plain_of(layer)
        _check_axis(name, own, found[id(layer)])
        fits = ANY.intersection(*(place.fits(own) for place in found[id(layer)]))
        inner = () if anywhere(layer) else hyper_layers(layer)  # type: ignore[arg-type]
        whole = [layer, *(x for _, x in inner if x is not layer)]
        if fits:
            fed_along(whole, min(fits))
            continue
        fed_along(whole, None, alone=True)
        if layer.num_hyper and layer.home.responds:
            plain.setdefault(next((p.why for p in found[id(layer)] if p.why), OTHER), []).append(name)
    names: list[str] = []
    for why, some in plain.items():
        ids = {id(p) for name in some for _, p in named_own(layers[name])}
        names += make_plain(model, ids, why)
    if names and not responding(model):
        raise UserError(
            f"no layer of this model can respond to λ: of {few(names)}, {'; '.join(plain)} (form='generic' takes one λ "
            "for a batch)"
        )
    return names


def _check_axis(name: str, plain: nn.Module, places: list[BatchPlace]) -> None:
    only = only_axis(plain)
    wrong = [place.axis for place in places if not place.why and only is not None and place.axis != only]
    if wrong:
        first = f"batch_first={bool(not only)}" if hasattr(plain, "batch_first") else ""
        raise UserError(
            f"{name!r} ({type(plain).__name__}, {first}) takes axis {only} of its input for the batch, which is along "
            f"axis {wrong[0]}: make it with batch_first={bool(only)}, or leave it out by "
            f"convert(..., exclude=[{name!r}]) if it is to mix examples"
        )
