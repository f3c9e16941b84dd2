"""A DataLoader as a source of batches: endless, evaluated beside the running epoch, resumed exactly."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.random_states import host_states, set_host_states


class Looped:
    """A DataLoader (or any iterable that can be started again) as a source; resuming replays the epoch's start.

    Exact if the loader's order follows torch's, Python's or numpy's random state or its own generator, as
    DataLoader's does. Workers are started anew in every epoch, even persistent ones: those share one iterator, which
    an evaluation would restart, and keep random states that no checkpoint can reach. Under torchrun give it a
    DistributedSampler. Raises UserError for an iterator (a generator), which can be read only once.
    """

    def __init__(self, loader: Iterable[Batch]) -> None:
        if isinstance(loader, Iterator):
            raise UserError(
                f"a {type(loader).__name__} can be read only once; give a DataLoader, a list of batches, or an object "
                "whose __iter__ starts again"
            )
        self._loader = _without_persistence(loader)
        self._iterator: Iterator[Batch] | None = None
        self._seen = 0
        self._start: dict[str, Any] = {}

    def __len__(self) -> int:
        """Batches in an epoch; TypeError where the loader does not know."""
        return len(self._loader)  # type: ignore[arg-type]

    def next(self) -> Batch:
        """The next batch, for ever."""
        for _ in range(2):
            if self._iterator is None:
                self._begin()
            assert self._iterator is not None
            for batch in self._iterator:
                self._seen += 1
                return batch
            self._iterator = None
        raise UserError("the loader gave no batch; give it data")

    def once(self) -> Iterator[Batch]:
        """One pass of the loader; all random states end as they began."""
        before = _random_states(self._loader)
        yield from self._loader
        _set_random_states(self._loader, before)

    def state(self) -> dict[str, Any]:
        """How many batches this epoch gave, and the random states at its start."""
        return {"seen": self._seen if self._iterator is not None else -1, "start": dict(self._start)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`: the epoch's batches so far are read again and dropped."""
        self._iterator = None
        if state["seen"] < 0:
            return
        _set_random_states(self._loader, state["start"])
        self._begin()
        for _ in range(state["seen"]):
            self.next()

    def _begin(self) -> None:
        self._start = _random_states(self._loader)
        self._iterator, self._seen = iter(self._loader), 0


def _without_persistence(loader: Iterable[Batch]) -> Iterable[Batch]:
    if not (isinstance(loader, DataLoader) and loader.persistent_workers):
        return loader
    twin = copy.copy(loader)
    twin.__dict__["persistent_workers"] = False  # DataLoader forbids the assignment, not the value
    twin._iterator = None
    return twin


def _generators(loader: Iterable[Batch]) -> list[torch.Generator]:
    """The generators that a DataLoader and its samplers draw from, each once."""
    if not isinstance(loader, DataLoader):
        return []
    samplers = [loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)]
    found = [loader.generator, *(getattr(sampler, "generator", None) for sampler in samplers)]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())


def _random_states(loader: Iterable[Batch]) -> dict[str, Any]:
    own = [generator.get_state() for generator in _generators(loader)]
    return {"torch": torch.get_rng_state(), **host_states(), "own": own}


def _set_random_states(loader: Iterable[Batch], state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"].cpu())
    if "numpy" not in state:  # a checkpoint of an earlier version: only Python's beside torch's
        state = {**host_states(), **state, "own": [g.get_state() for g in _generators(loader)]}
    set_host_states(state)
    for generator, saved in zip(_generators(loader), state["own"], strict=True):
        generator.set_state(saved.cpu())
