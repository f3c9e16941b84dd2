"""Endless batches whose position is a few numbers, so that a resumed run sees the very next batch.

A source has `next()` (endless, shuffled), `once()` (every row once, in order), `state()` and `load_state()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed

Batch = Any
"""Whatever the losses take: a tensor, or a tuple or dict of tensors."""

Column = Tensor | np.ndarray
"""Rows of one kind, along dimension 0."""


@runtime_checkable
class Source(Protocol):
    """Where a tuner's batches come from."""

    def next(self) -> Batch:
        """The next batch, for ever."""
        ...

    def once(self) -> Iterable[Batch]:
        """This rank's share of all rows, each once."""
        ...

    def state(self) -> dict[str, Any]:
        """The position, as plain data and tensors."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        ...


class Batches:
    """Batches by index: epoch e visits a permutation drawn from (seed, e); what does not fill a batch is left out.

    `fetch` takes row numbers (B,) int64 and gives the batch. Under torchrun `size` is one rank's batch: the global
    batch is cut into equal parts, so R ranks see what one process with R times the size sees.
    """

    def __init__(
        self, rows: int, fetch: Callable[[Tensor], Batch], size: int, seed: int = 0, shuffle: bool = True
    ) -> None:
        self.rank, self.world = distributed.rank(), distributed.world()
        if not 1 <= size * self.world <= rows:
            raise UserError(
                f"a batch of {size} on {self.world} process(es) does not fit {rows} rows; give a smaller size"
            )
        self.rows, self.fetch, self.size, self.seed, self.shuffle = rows, fetch, size, seed, shuffle
        self._epoch, self._place = 0, 0
        self._order = self._permutation()

    @classmethod
    def of(cls, tensors: Column | Sequence[Column], size: int, seed: int = 0, shuffle: bool = True) -> Batches:
        """From one tensor or numpy array, or several of equal length: a batch is the tuple of their rows."""
        parts = tuple(_tensor(part) for part in (tensors if isinstance(tensors, (tuple, list)) else (tensors,)))
        lengths = {len(part) for part in parts}
        if len(lengths) != 1:
            raise UserError(f"tensors of lengths {sorted(lengths)} do not pair; give one row per example in each")
        single = not isinstance(tensors, (tuple, list))

        def fetch(index: Tensor) -> Batch:
            rows = tuple(part[index.to(part.device)] for part in parts)
            return rows[0] if single else rows

        return cls(lengths.pop(), fetch, size, seed, shuffle)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.rows // (self.size * self.world)

    def next(self) -> Batch:
        """The next batch, for ever."""
        stride = self.size * self.world
        if self._place + stride > self.rows:
            self._epoch, self._place = self._epoch + 1, 0
            self._order = self._permutation()
        start = self._place + self.rank * self.size
        self._place += stride
        return self.fetch(self._order[start : start + self.size])

    def once(self) -> Iterator[Batch]:
        """This rank's share of all rows, each once, in order; the last batch may be smaller."""
        share = torch.arange(self.rank, self.rows, self.world) if self.world > 1 else torch.arange(self.rows)
        for index in share.split(self.size):
            yield self.fetch(index)

    def state(self) -> dict[str, Any]:
        """The epoch and the place in it."""
        return {"epoch": self._epoch, "place": self._place, "rows": self.rows, "seed": self.seed}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`; UserError for another data set or seed."""
        if (state["rows"], state["seed"]) != (self.rows, self.seed):
            raise UserError(
                f"the checkpoint's batches came from {state['rows']} rows with seed {state['seed']}, "
                f"these from {self.rows} with seed {self.seed}; resume with the same data"
            )
        self._epoch, self._place = state["epoch"], state["place"]
        self._order = self._permutation()

    def _permutation(self) -> Tensor:
        if not self.shuffle:
            return torch.arange(self.rows)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._epoch)
        return torch.randperm(self.rows, generator=generator)


def _tensor(column: Column) -> Tensor:
    if isinstance(column, Tensor):
        return column
    try:
        return torch.as_tensor(column)
    except (TypeError, ValueError):
        kind = getattr(column, "dtype", type(column).__name__)
        raise UserError(f"data of kind {kind} cannot become a tensor; give numbers (encode strings first)") from None
