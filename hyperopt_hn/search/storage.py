"""A study in one of Optuna's storages, which several processes or machines share."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.settings import masked
from hyperopt_hn.search.proposals import Search, need_optuna
from hyperopt_hn.search.trial import Asked, Trial, plain_trial, trial_of

TERMS = "hyperopt_hn"
"""A shared study's attribute with what all its trials have in common."""
OWNER = "hyperopt_hn_owner"
"""A shared trial's attribute with the run that asked for it."""


class SharedStudy:
    """A study in one of Optuna's storages: processes and machines that name it work on it together.

    No trial is proposed twice: its number, which the storage gives out once, takes part in its seed. What differs
    between the trials must be their hyperparameters alone, so `terms` (settings, data) must be those with which the
    study was begun. A resumed run takes up the trials that it asked for after its checkpoint, in their order.
    Raises UserError for a storage that cannot be used and for a study with other terms.
    """

    def __init__(self, search: Search, storage: str, name: str, terms: Mapping[str, Any]) -> None:
        self._optuna = need_optuna()
        self.search, self.storage, self.name = search, storage, name
        self._study = self._optuna.open_study(search.sampler(), storage, name)
        with self._optuna.reached(storage):
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
        with self._optuna.reached(self.storage):
            asked = self._again() or self._new()
        self._last = self._last if asked is None else asked.number
        return asked

    def tell(self, asked: Asked, loss: float) -> None:
        """Its loss, for all that share the study; an already reported trial keeps its value."""
        with self._optuna.reached(self.storage):
            self._optuna.tell(self._study, asked.number, loss)
        self._trials.append(Trial(asked.values, loss if math.isfinite(loss) else math.nan))

    def state(self) -> dict[str, Any]:
        """This run's name in the study, and its trials."""
        return {"trials": [plain_trial(t) for t in self._trials], "owner": self._owner, "last": self._last}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on as the run that left this state."""
        self._trials = [trial_of(row) for row in state["trials"]]
        self._owner, self._last = state["owner"], state["last"]

    def _again(self) -> Asked | None:
        """A trial that this run asked for after the state it was resumed from."""
        mine = (t for t in self._study.get_trials(deepcopy=False) if t.number > self._last)
        for trial in mine:
            if trial.user_attrs.get(OWNER) == self._owner:
                return Asked(trial.number, self._optuna.values_of(self._study, self.search.space, trial))
        return None

    def _new(self) -> Asked | None:
        trial = self._optuna.ask(self._study, {OWNER: self._owner})
        if self.search.method == "grid" and trial.number >= self.search.grid.size:
            self._optuna.give_up(self._study, trial)
            return None
        return Asked(trial.number, self.search.space.to_optuna(trial))

    def _agree(self, terms: str) -> None:
        """Begin the study with these terms, or see that it has them."""
        if TERMS not in self._study.user_attrs:
            self._study.set_user_attr(TERMS, terms)
        begun, mine = json.loads(self._study.user_attrs[TERMS]), json.loads(terms)
        for key in {**begun, **mine}:
            if begun.get(key) != mine.get(key):
                what = f"the study {self.name} in {masked(self.storage)} was begun with other terms"
                terms = f"({key}: {begun.get(key)!r}, here {mine.get(key)!r}); give the same settings, or another name"
                raise UserError(f"{what} {terms}", f"{what} {terms} with --study")


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


def check_storage(storage: str) -> None:
    """Raise UserError for a storage that cannot be opened."""
    need_optuna().open_storage(storage)
