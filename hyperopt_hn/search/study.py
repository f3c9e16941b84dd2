"""Ask for a trial, tell its loss: in this process alone, or in a study that several processes or machines share."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hyperopt_hn.errors import UserError
from hyperopt_hn.search.proposals import Search, Trial, need_optuna

TERMS = "hyperopt_hn"
"""A shared study's attribute with what all its trials have in common."""
OWNER = "hyperopt_hn_owner"
"""A shared trial's attribute with the run that asked for it."""


@dataclass(frozen=True)
class Asked:
    """A trial to run: its number in the study, and the tuned hyperparameters in natural units."""

    number: int
    values: Mapping[str, Any]


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
        """The trials that this run told, in order."""
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
        return {"trials": [_plain(trial) for trial in self._trials]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the next trial."""
        self._trials = [_trial(row) for row in state["trials"]]


class SharedStudy:
    """A study in one of Optuna's storages: processes and machines that name it work on it together.

    No trial is proposed twice: its number, which the storage gives out once, takes part in its seed. What differs
    between the trials must be their hyperparameters alone, so `terms` (settings, data) must be those with which the
    study was begun. A resumed run takes up the trials that it asked for after its checkpoint, in their order.
    Raises UserError for a storage that cannot be used and for a study with other terms.
    """

    def __init__(self, search: Search, storage: str, name: str, terms: Mapping[str, Any]) -> None:
        need_optuna()
        from hyperopt_hn.search import optuna_bridge

        self.search, self.storage, self.name = search, storage, name
        self._study = optuna_bridge.open_study(search.sampler(), storage, name)
        with optuna_bridge.reached(storage):
            self._agree(_terms(search, terms))
        self._owner = uuid.uuid4().hex
        self._trials: list[Trial] = []
        self._last = -1

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials of this run, without those of others."""
        return tuple(self._trials)

    def ask(self) -> Asked | None:
        """The next trial of the study; after a resume first those that this run asked for already."""
        from hyperopt_hn.search import optuna_bridge

        with optuna_bridge.reached(self.storage):
            asked = self._again() or self._new()
        self._last = self._last if asked is None else asked.number
        return asked

    def tell(self, asked: Asked, loss: float) -> None:
        """Its loss, for all that share the study; one that was told before its run was killed keeps what it has."""
        import optuna

        from hyperopt_hn.search import optuna_bridge

        failed = not math.isfinite(loss)
        state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
        with optuna_bridge.reached(self.storage):
            self._study.tell(asked.number, None if failed else loss, state, skip_if_finished=True)
        self._trials.append(Trial(asked.values, math.nan if failed else loss))

    def state(self) -> dict[str, Any]:
        """This run's name in the study, and its trials."""
        return {"trials": [_plain(t) for t in self._trials], "owner": self._owner, "last": self._last}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on as the run that left this state."""
        self._trials = [_trial(row) for row in state["trials"]]
        self._owner, self._last = state["owner"], state["last"]

    def _again(self) -> Asked | None:
        """A trial that this run asked for after the state it was resumed from."""
        from hyperopt_hn.search import optuna_bridge

        mine = (t for t in self._study.get_trials(deepcopy=False) if t.number > self._last)
        for trial in mine:
            if trial.user_attrs.get(OWNER) == self._owner and trial.params:
                return Asked(trial.number, optuna_bridge.unflat(self.search.space, trial.params))
        return None

    def _new(self) -> Asked | None:
        import optuna

        trial = self._study.ask()
        if self.search.method == "grid" and trial.number >= self.search.grid.size:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return None
        trial.set_user_attr(OWNER, self._owner)
        return Asked(trial.number, self.search.space.to_optuna(trial))

    def _agree(self, terms: str) -> None:
        """Begin the study with these terms, or see that it has them."""
        if TERMS not in self._study.user_attrs:
            self._study.set_user_attr(TERMS, terms)
        begun, mine = json.loads(self._study.user_attrs[TERMS]), json.loads(terms)
        for key in {**begun, **mine}:
            if begun.get(key) != mine.get(key):
                raise UserError(
                    f"the study {self.name} in {self.storage} was begun with other terms ({key}: {begun.get(key)!r}, "
                    f"here {mine.get(key)!r}); give the same settings, or another name with --study"
                )


def _terms(search: Search, terms: Mapping[str, Any]) -> str:
    ranges = {h.name: [h.low, h.high, h.log, h.grid, h.size] for h in map(search.space.__getitem__, search.space.tuned)}
    kind = {
        "method": search.method,
        "seed": search.seed,
        "start_at_init": search.start_at_init,
        "startup": search.startup,
        **ranges,
    }
    if search.method == "grid":
        kind |= {"levels": search.levels, "groups": {k: list(v) for k, v in search.groups.items()}}
    return json.dumps({**kind, **terms}, sort_keys=True)


def _plain(trial: Trial) -> dict[str, Any]:
    values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in trial.values.items()}
    return {"values": values, "loss": trial.loss if math.isfinite(trial.loss) else None}


def _trial(row: Mapping[str, Any]) -> Trial:
    values = {k: np.array(v) if isinstance(v, list) else v for k, v in row["values"].items()}
    return Trial(values, math.nan if row["loss"] is None else row["loss"])


def check_storage(storage: str) -> None:
    """Raise UserError for a storage that cannot be opened."""
    need_optuna()
    from hyperopt_hn.search import optuna_bridge

    optuna_bridge.open_storage(storage)
