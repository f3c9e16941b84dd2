"""The trials of a shared search, read from its storage by Optuna alone, against what the runs recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy.pool import NullPool

from hyperopt_hn.files.states import load_state
from hyperopt_hn.nn.tuning.codec import load_checkpoint

OWNER = "hyperopt_hn_owner"


@dataclass(frozen=True)
class Stored:
    """Numbers and states of all trials, and number -> (owner, loss) of each."""

    states: Mapping[int, str]
    trials: Mapping[int, tuple[str, float | None]]

    def untrue(self, folders: Sequence[Path]) -> list[str]:
        """What is not as it should be once the runs in these folders are finished."""
        counts = Counter(self.states.values())
        faults = [f"{counts['RUNNING']} trials are still running"] if counts["RUNNING"] else []
        if sorted(self.states) != list(range(len(self.states))):
            faults.append(f"trials are missing: {sorted(self.states)}")
        owners = []
        for folder in folders:
            study = _study(folder)
            owners.append(study["owner"])
            own = [loss for owner, loss in self.trials.values() if owner == study["owner"] and loss is not None]
            recorded = [row["loss"] for row in study["trials"] if row["loss"] is not None]
            if own != recorded:
                faults.append(f"{folder.name} recorded losses {recorded}, the storage has {own}")
        strangers = {owner for owner, _ in self.trials.values()} - set(owners)
        if strangers:
            faults.append(f"trials of nobody: {strangers}")
        return faults


def trials_of(storage: str) -> Stored:
    """All trials of the only study there."""
    where: Any
    if not storage.startswith("journal:"):
        where = RDBStorage(storage, engine_kwargs={"poolclass": NullPool})
    else:
        where = JournalStorage(JournalFileBackend(storage.removeprefix("journal:")))
    (name,) = optuna.get_all_study_names(where)
    trials = optuna.load_study(study_name=name, storage=where).get_trials(deepcopy=False)
    owned = {t.number: (t.user_attrs.get(OWNER, "nobody"), t.value) for t in trials}
    return Stored({t.number: t.state.name for t in trials}, owned)


def _study(folder: Path) -> Mapping[str, Any]:
    """What the checkpoint of the only run below a folder knows of its search."""
    (path,) = folder.rglob("checkpoint.*")
    whole = load_checkpoint(path) if path.suffix == ".pt" else load_state(path)
    return _found(whole["state"])


def _found(node: Any) -> Mapping[str, Any]:
    if isinstance(node, Mapping):
        if {"owner", "trials", "last"} <= set(node):
            return node
        for value in node.values():
            if found := _found(value):
                return found
    return {}
