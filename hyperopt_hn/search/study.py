"""Ask for a trial, tell its loss: what a study is, and one in this process's memory (a shared one: `storage`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.trial import Asked, Trial, plain_trial, trial_of


class Study(Protocol):
    """Trials one after another. After `load_state` the next ask gives what it gave then."""

    def ask(self) -> Asked | None:
        """The next trial; None if nothing is left to try."""
        ...

    def tell(self, asked: Asked, loss: float) -> None:
        """Its loss; NaN or infinity: it failed."""
        ...

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials that this run reported, in order."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain data, for a checkpoint."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()`."""
        ...


class OwnStudy:
    """A study in this process's memory."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._trials: list[Trial] = []

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials so far."""
        return tuple(self._trials)

    def ask(self) -> Asked | None:
        """A function of (seed, trials): asked twice it gives the same twice."""
        found = self.search.ask(self._trials, 1)
        return Asked(len(self._trials), found[0]) if found else None

    def tell(self, asked: Asked, loss: float) -> None:
        """Its loss."""
        self._trials.append(Trial(asked.values, loss if math.isfinite(loss) else math.nan))

    def state(self) -> dict[str, Any]:
        """Every trial."""
        return {"trials": [plain_trial(trial) for trial in self._trials]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next trial."""
        self._trials = [trial_of(row) for row in state["trials"]]
