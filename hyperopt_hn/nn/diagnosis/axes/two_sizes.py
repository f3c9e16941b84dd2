"""The arguments of a model's call at two sizes of its batch: as they are, and with one row less (of two rows: more).

And once more as they are, the first two rows swapped.

Along which axis a batch has its rows, `rows` tells of the batch when it is cut. An argument that is a tensor of the
batch, or has the batch's size along one axis alone, is cut there; of any other one the loss tells, computed once on the
smaller batch.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from hyperopt_hn.config import described
from hyperopt_hn.nn.context import at
from hyperopt_hn.nn.diagnosis.calls import Call, recorded
from hyperopt_hn.nn.diagnosis.replays import untouched
from hyperopt_hn.nn.responses.base import Losses, evaluating, training
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.random_states import kept_generators

Given = tuple[Any, Any]
"""Arguments and keyword arguments."""
Pair = tuple[Given, Given]


@described
@dataclass(frozen=True)
class TwoSizes:
    """A batch of B rows, one of B' that shares its first rows, the first with two rows swapped; the rows' axis."""

    batches: tuple[Batch, Batch, Batch]
    rows: tuple[int, int]
    axis: int
    validation: bool
    """Whether it is a batch of the validation loss."""
    probed: dict[int, list[Call]] = field(default_factory=dict)

    @staticmethod
    def of(losses: Losses, batch: Batch, validation: bool = False) -> TwoSizes | None:
        """None for a batch that cannot be cut by rows: its tensors are inside objects, or strings lie beside them."""
        count = losses.problem.rows(batch)
        other = count - 1 if count > 2 else count + 1
        for axis in (0, 1):
            with suppress(Exception):  # `rows` is the user's
                cut = tree_map(partial(_resized, where=axis, count=count, size=other), batch)
                if losses.problem.rows(cut) == other:
                    swapped = tree_map(lambda x, axis=axis: _swapped(x, _where(x, axis, count)), batch)
                    return TwoSizes((batch, cut, swapped), (count, other), axis, validation)
        return None

    def pair(self, losses: Losses, call: Call, number: int) -> Pair | None:
        """What the number-th outermost call of the loss is given at both sizes; None where that is unclear."""
        other = self._given(losses, call, number, 1)
        return None if other is None else ((call[1], call[2]), other)

    def swapped(self, losses: Losses, call: Call, number: int) -> Given | None:
        """What it is given where the batch's first two rows are swapped; None where that is unclear."""
        return self._given(losses, call, number, 2)

    def _given(self, losses: Losses, call: Call, number: int, which: int) -> Given | None:
        leaves, form = tree_flatten(call[1:])
        axes = [self._axis(leaf) for leaf in leaves]
        if all(axis == -1 for axis in axes):
            return None
        if any(axis is None for axis in axes):
            calls = self._probe(losses, which)
            if number >= len(calls) or calls[number][0] is not call[0]:
                return None
            return calls[number][1], calls[number][2]
        known = [(x, axis) for x, axis in zip(leaves, axes, strict=True) if axis is not None]
        changed = [_along(x, axis, *self.rows) if which == 1 else _swapped(x, axis) for x, axis in known]
        args, kwargs = tree_unflatten(changed, form)
        return args, kwargs

    def _axis(self, leaf: Any) -> int | None:
        """Which axis is the batch, -1 for none; None where sizes alone would have to tell."""
        count = self.rows[0]
        if not isinstance(leaf, Tensor):
            return -1
        if any(_same(leaf, x) for x in tree_leaves(self.batches[0])):
            return next((d for d in (self.axis, 0) if leaf.dim() > d and leaf.shape[d] == count), -1)
        long = [d for d, size in enumerate(leaf.shape) if count > 1 and size % count == 0 and size]
        if not long:
            return -1
        return long[0] if len(long) == 1 and leaf.shape[long[0]] == count else None

    def _probe(self, losses: Losses, which: int) -> list[Call]:
        if which not in self.probed:
            with recorded(losses.bare) as calls:
                self.compute(losses, which)
            self.probed[which] = calls
        return self.probed[which]

    def compute(self, losses: Losses, which: int) -> None:
        """The loss on one of the batches at λ̂, by the bare model, leaving no trace; hooks of ours run."""
        bare, lam = losses.bare, losses.hypers.lam.detach()
        loss = losses.problem.valid_loss if self.validation else losses.problem.train_loss
        quiet, own = untouched(bare, lam.device), kept_generators(loss)
        mode = evaluating(bare) if self.validation else training(bare)
        with quiet, own, mode, at(bare, lam, lam, values=losses.fixed):
            if self.validation:
                replace(losses, model=bare).valid_loss(self.batches[which])
            else:
                replace(losses, model=bare).train_loss(self.batches[which], lam.expand(self.rows[which % 2], -1))


def _same(one: Tensor, other: Any) -> bool:
    if not isinstance(other, Tensor) or one.shape != other.shape or one.device != other.device:
        return False
    return one.is_set_to(other) or (one.dtype == other.dtype and torch.equal(one, other))


def _resized(leaf: Any, where: int, count: int, size: int) -> Any:
    """Cut along an axis, or along the first where that has the batch's rows."""
    return _along(leaf, _where(leaf, where, count), count, size)


def _where(leaf: Any, axis: int, count: int) -> int:
    """Which of an axis and the first has the batch's rows; -1 for neither."""
    if not isinstance(leaf, Tensor):
        return -1
    return next((d for d in (axis, 0) if leaf.dim() > d and leaf.shape[d] == count), -1)


def _swapped(leaf: Any, axis: int) -> Any:
    if axis < 0 or leaf.shape[axis] < 2:
        return leaf
    return torch.cat([leaf.narrow(axis, 0, 2).flip(axis), leaf.narrow(axis, 2, leaf.shape[axis] - 2)], axis)


def _along(leaf: Any, axis: int, count: int, size: int) -> Any:
    if axis < 0:
        return leaf
    return leaf.index_select(axis, torch.arange(size, device=leaf.device) % count)
