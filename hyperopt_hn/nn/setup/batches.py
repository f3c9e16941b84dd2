"""Endless batches whose position is a few numbers, so that a resumed run sees the very next batch.

A source has `next()` (endless, shuffled), `once()` (every row once, in order), `state()` and `load_state()`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed

Batch = Any
"""Whatever the losses take: a tensor, or a tuple or dict of tensors."""


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
    def of(cls, tensors: Tensor | Sequence[Tensor], size: int, seed: int = 0, shuffle: bool = True) -> Batches:
        """From one tensor, or several of equal length: a batch is the tuple of their rows."""
        parts = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
        lengths = {len(part) for part in parts}
        if len(lengths) != 1:
            raise UserError(f"tensors of lengths {sorted(lengths)} do not pair; give one row per example in each")
        single = isinstance(tensors, Tensor)

        def fetch(index: Tensor) -> Batch:
            rows = tuple(part[index.to(part.device)] for part in parts)
            return rows[0] if single else rows

        return cls(lengths.pop(), fetch, size, seed, shuffle)

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


class Looped:
    """A DataLoader (or any iterable that can be started again) as a source; resuming replays the epoch's start.

    Bit-exact if the loader's order follows torch's and Python's random state, as DataLoader's does (with its own
    generator it follows that one's seed only). Under torchrun give it a DistributedSampler.
    """

    def __init__(self, loader: Iterable[Batch]) -> None:
        self._loader = loader
        self._iterator: Iterator[Batch] | None = None
        self._seen = 0
        self._start: dict[str, Any] = {}

    def next(self) -> Batch:
        """The next batch, for ever."""
        for _ in range(2):
            if self._iterator is None:
                self._begin()
            assert self._iterator is not None
            batch = next(self._iterator, None)
            if batch is not None:
                self._seen += 1
                return batch
            self._iterator = None
        raise UserError("the loader gave no batch; give it data")

    def once(self) -> Iterator[Batch]:
        """One pass of the loader; the global random state ends as it began."""
        before = torch.get_rng_state(), random.getstate()
        yield from self._loader
        torch.set_rng_state(before[0])
        random.setstate(before[1])

    def state(self) -> dict[str, Any]:
        """How many batches this epoch gave, and the random state at its start."""
        return {"seen": self._seen if self._iterator is not None else -1, "start": dict(self._start)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`: the epoch's batches so far are read again and dropped."""
        self._iterator = None
        if state["seen"] < 0:
            return
        torch.set_rng_state(state["start"]["torch"])
        random.setstate(state["start"]["python"])
        self._begin()
        for _ in range(state["seen"]):
            self.next()

    def _begin(self) -> None:
        self._start = {"torch": torch.get_rng_state(), "python": random.getstate()}
        self._iterator, self._seen = iter(self._loader), 0
