"""Whether layers that respond are the only readers of their weights; those that are not are made plain again.

A model may read a weight past its layer: F.linear(h, emb.weight), a fused product of qkv weights, layers kept in a
Python list. Such a read sees W where the layer answers with w(λ), so that training and `collapse` would disagree.
After the first train step the model's calls in it are made again twice at the same λ: through the response, and with
the weights that `collapse` would write. Where the outputs of a module differ, weights are read past their layers. The
losses are not called again, as they may count or carry something from batch to batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import at, named_own
from hyperopt_hn.nn.diagnosis.calls import Call, Watch, elementary, responding
from hyperopt_hn.nn.diagnosis.made_plain import few, make_plain
from hyperopt_hn.nn.diagnosis.prints import Prints, comparable, parted
from hyperopt_hn.nn.diagnosis.replays import untouched
from hyperopt_hn.nn.responses.base import Losses, frozen, training
from hyperopt_hn.nn.responses.elementary import whole_precision
from hyperopt_hn.nn.setup.random_states import random_state, set_random_state

REASON = "its weights are read past it, by code that does not call it, so it cannot respond"
SMALL = 0.05
_DRAWS = 2
_GAIN = {torch.float64: SMALL, torch.float32: SMALL}


def settle(losses: Losses, calls: list[Call]) -> list[str]:
    """Make layers plain whose weights are read past them, and warn once; their names. Nothing else changes.

    Raises UserError with the first module whose output still differs from that of the collapsed model. What a loss
    reads itself, outside the model's calls, is not looked at.
    """
    if not responding(losses.bare) or not calls:
        return []
    check = _Check(losses, calls)
    try:
        place, seen = check.run()
        for draw in range(1, 1 + _DRAWS):  # an index or a choice made of a weight changes now and then
            place, seen = check.run(draw) if place is None and seen.inside else (place, seen)
    except Exception:
        return []  # a model that cannot be called again with what it was called with: nothing is known of it
    if place is None:
        return []
    silenced: list[str] = []
    for ids in (seen.inside, seen.idle):
        silenced += make_plain(losses.bare, ids, REASON)
        place, _ = check.run()
        if place is None:
            break
    if place is not None:
        raise UserError(
            f"from module {place!r} on, outputs at λ differ from those of the collapsed model: it, or code just "
            "before it, reads a weight past its layer; leave that layer out by convert(..., exclude=[...])"
        )
    _warn(losses.bare, silenced)
    return silenced


@dataclass
class _Check:
    """The recorded calls of a model at λ, and with its collapsed weights."""

    losses: Losses
    calls: list[Call]

    def run(self, draw: int = 0) -> tuple[str | None, Watch]:
        """The first module at which the two differ, and what the first of them read."""
        bare, lam = self.losses.bare, self.losses.hypers.lam.detach()
        start = random_state(lam.device)
        watch = Watch(bare)
        h = torch.ones_like(lam)
        try:
            with (
                frozen(list(bare.parameters())),
                untouched(bare, lam.device),
                training(bare),
                _whole(bare),
                filled(enlarged(bare, draw)),
            ):
                with at(bare, lam, h=h, values=self.losses.fixed), watch:
                    one = self._prints(lam, start)
                with at(bare, lam, h=h, values=self.losses.fixed), torch.no_grad():
                    written = _written(bare, h)
                with filled(written), at(bare, lam, lam, values=self.losses.fixed):
                    two = self._prints(lam, start)
                place = parted(*comparable(bare, one, two))
                if place is not None:  # models that draw random numbers in a way of their own differ from pass to pass
                    with at(bare, lam, h=h, values=self.losses.fixed):
                        again = parted(one, self._prints(lam, start))
                    place = None if again is not None else place
        finally:
            set_random_state(start, lam.device)
        return place, watch

    def _prints(self, lam: Tensor, start: Any) -> Prints:
        set_random_state(start, lam.device)
        return printed(self.losses, self.calls)


@torch.no_grad()
def printed(losses: Losses, calls: list[Call]) -> Prints:
    """Prints of these calls of the model, made again in the present context without a trace."""
    bare, lam = losses.bare, losses.hypers.lam
    # without autocast: two ways to the same number part by more than rounding in a long recurrence in bfloat16
    with untouched(bare, lam.device), Prints(bare) as prints, whole_precision(lam.device):
        for module, args, kwargs in widened(calls, losses.dtype, lam.dtype):
            module(*args, **kwargs)
    return prints


def widened(calls: list[Call], narrow: torch.dtype | None, dtype: torch.dtype) -> Iterator[Call]:
    """The calls with what autocast made narrow as wide as the weights are."""
    for module, *given in calls:
        args, kwargs = tree_map(lambda x: x.to(dtype) if isinstance(x, Tensor) and x.dtype == narrow else x, given)
        yield module, args, kwargs


@contextmanager
def _whole(model: nn.Module) -> Iterator[None]:
    """Inside, no single weights are dropped: a low-rank response stays whole where W is masked."""
    layers: list[Any] = [m for m in model.modules() if getattr(m, "dropconnect", None) is not None]
    names = [layer.dropconnect for layer in layers]
    for layer in layers:
        layer.dropconnect = None
    try:
        yield
    finally:
        for layer, name in zip(layers, names, strict=True):
            layer.dropconnect = name


@contextmanager
def filled(values: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Inside, these parameters hold these numbers, whoever else refers to them."""
    kept = [(parameter, parameter.data) for parameter, _ in values]
    try:
        for parameter, value in values:
            parameter.data = value
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data


def enlarged(model: nn.Module, draw: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Gains, and what else is small, drawn anew, large enough to be seen; each further draw is larger."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for _, layer in responding(model):
        for name, p in named_own(layer):
            few = p.shape[-1] == layer.num_hyper or bool(p.square().mean() < SMALL**2)  # a low-rank one begins at zero
            if not elementary(name) and id(p) not in found and few:
                noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(len(found) + 1000 * draw))
                found[id(p)] = p, _GAIN.get(p.dtype, 0.25) * 4**draw * noise.to(p)
    return list(found.values())


def _written(model: nn.Module, h: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What `collapse` writes into the plain layers."""
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for _, layer in responding(model):
        module: Any = layer
        for path, value in module.weights(h).items():
            parameter = module.get_parameter(path)
            found.setdefault(id(parameter), (parameter, value.detach().clone()))
    return list(found.values())


def _warn(model: nn.Module, names: list[str]) -> None:
    if not responding(model):
        raise UserError(f"no layer of this model can respond to λ: of {few(names)} the weights are read past the layer")
    warnings.warn(
        f"{len(names)} of {len(names) + len(responding(model))} layers do not respond to λ: {few(names)}; the model "
        "reads their weights past them, without calling them. They train as plain layers; report(model) lists them",
        stacklevel=4,
    )
