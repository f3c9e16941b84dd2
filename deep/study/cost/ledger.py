"""What an arm has found for its money: the best network by validation so far, and the processor time it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

SLACK = 1.05
"""A network counts for a budget that it exceeds by a twentieth: two plain trainings do not take the same time."""


class Spent(Exception):
    """The largest budget is spent: how every arm ends."""


@dataclass(frozen=True)
class Found:
    """A network that was the best so far by validation: when, in units of a plain training, and how it was made."""

    at: float
    loss: float
    values: Mapping[str, float]
    how: str
    network: nn.Module


class Ledger:
    """Counts the processor time of one arm, in `unit` seconds, up to the largest of the budgets."""

    def __init__(self, unit: float, budgets: Sequence[float]) -> None:
        self.unit, self.budgets = unit, tuple(budgets)
        self.found: list[Found] = []
        self.proposing = 0.0
        self._began, self._off = time.process_time(), 0.0

    @property
    def spent(self) -> float:
        """Units of plain training so far, without what was paused."""
        return (time.process_time() - self._began - self._off) / self.unit

    @contextmanager
    def paused(self, proposing: bool = False) -> Iterator[None]:
        """What is done within costs the arm nothing; proposals of a search are counted by themselves."""
        before = time.process_time()
        yield
        took = time.process_time() - before
        self._off += took
        self.proposing += took if proposing else 0.0

    def offer(self, loss: float, values: Mapping[str, float], how: str, network: Callable[[], nn.Module]) -> None:
        """A network and its validation loss. Raises Spent when this comes too late for the largest budget."""
        now = self.spent
        if now > max(self.budgets) * SLACK:
            raise Spent
        if not self.found or loss < self.found[-1].loss:
            with self.paused():
                self.found.append(Found(now, loss, dict(values), how, network()))

    def at(self, budget: float) -> Found | None:
        """The best network by validation within a budget; None if there is none yet."""
        return next((found for found in reversed(self.found) if found.at <= budget * SLACK), None)

    def record(self, test: Callable[[nn.Module], float]) -> dict[str, Any]:
        """The curve of validation losses, and at each budget the network chosen with its test loss, seen only now."""
        marks = []
        for budget in self.budgets:
            best = self.at(budget)
            if best is not None:
                marks.append([budget, best.loss, test(best.network), best.how])
        return {
            "unit": round(self.unit, 4),
            "curve": [[round(found.at, 3), found.loss] for found in self.found],
            "marks": marks,
            "best": dict(self.found[-1].values) if self.found else {},
            "proposing": round(self.proposing, 3),
        }
