"""A round of four processes in one folder; and a trial that hangs, is lost or is told twice is found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.files import states
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.storage import SharedStudy
from tests.campaigns import processes
from tests.campaigns.apparatus.stored import trials_of
from tests.campaigns.points import Disturbed


def test_four_processes_in_one_folder(toy: Disturbed, capsys: pytest.CaptureFixture[str]) -> None:
    assert processes.in_one_folder(toy, 0.0, random.Random(1)) == 0, capsys.readouterr().out
    assert "1 rounds of 4" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["", "running", "lost", "changed", "stranger"])
def test_a_storage_that_does_not_fit_the_runs_is_found(tmp_path: Path, fault: str) -> None:
    storage = f"journal:{tmp_path}/study.log"
    search = Search(HyperSpace([Hyper("a", 0.1, 0.0, 1.0)]), "random", 3)
    folders = [tmp_path / name for name in ("one", "two")]
    studies = [SharedStudy(search, storage, "s", {}) for _ in folders]
    for study in studies * 2:
        asked = study.ask()
        assert asked is not None
        study.tell(asked, float(asked.number))
    if fault == "running":
        studies[0].ask()
    for folder, study in zip(folders, studies, strict=True):
        state = study.state()
        if fault == "lost":
            state["trials"] = state["trials"][:1]
        if fault == "changed":
            state["trials"][0]["loss"] = 7.5
        if fault == "stranger" and folder == folders[1]:
            state["owner"] = "another"
        folder.mkdir()
        with (folder / "checkpoint.npz").open("wb") as file:
            states.save_state(file, {"state": {"tuner": state}})
    found = trials_of(storage)
    assert len(found.states) == (5 if fault == "running" else 4)
    words = {"": None, "running": "still running", "stranger": "of nobody"}.get(fault, "recorded losses")
    told = found.untrue(folders)
    assert bool(told) == bool(fault) and (words is None or any(words in line for line in told)), told
