"""Shared studies: a proposal that a kill cut in two goes on; passwords of storages are not told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hyperopt_hn import Hyper, HyperSpace, UserError
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.storage import SharedStudy, check_storage
from tests.support.paths import ROOT

SPACE = HyperSpace([Hyper(name, 0.1, 0.0, 1.0) for name in "abc"])


@pytest.mark.parametrize("asked_for", [0, 1, 2, 3])
def test_a_proposal_that_was_cut_in_two_goes_on(tmp_path, asked_for, monkeypatch):
    def study():
        return SharedStudy(Search(SPACE, "random", 3), f"sqlite:///{tmp_path}/s.db", "s", {})

    whole = SharedStudy(Search(SPACE, "random", 3), f"sqlite:///{tmp_path}/whole.db", "s", {}).ask()
    first, count = study(), 0
    state = first.state()
    from optuna.trial import Trial

    original = Trial.suggest_float

    def suggest(self, *words, **more):
        nonlocal count
        if count == asked_for:
            raise KeyboardInterrupt
        count += 1
        return original(self, *words, **more)

    with monkeypatch.context() as killed:
        killed.setattr(Trial, "suggest_float", suggest)
        if asked_for < 3:
            with pytest.raises(KeyboardInterrupt):
                first.ask()
        else:
            first.ask()
    again = study()
    again.load_state(state)
    assert again.ask() == whole


def test_a_storages_password_is_not_told(tmp_path):
    for storage in ("postgresql://tuner:s3cret@127.0.0.1:9/db", "nonsense://tuner:s3cret@h/x", "redis://:s3cret@h:1"):
        with pytest.raises(UserError) as caught:
            check_storage(storage)
        assert "s3cret" not in str(caught.value) and "***@" in str(caught.value)


def test_a_journal_that_a_kill_cut_short_goes_on(tmp_path):
    file = tmp_path / "study.log"

    def losses(count):
        study = SharedStudy(Search(SPACE, "random", 1), f"journal:{file}", "s", {})
        for _ in range(count):
            asked = study.ask()
            study.tell(asked, asked.values["a"])
        return [trial.value for trial in study._study.get_trials()]

    before = losses(3)
    file.write_bytes(file.read_bytes()[:-17])  # the loss of the third trial was being written
    after = losses(2)
    assert after[:2] == before[:2] and after[2] is None and None not in after[3:] and len(after) == 5
    assert losses(1)[:5] == after


@pytest.mark.parametrize("kind", ["journal:{}/study.log", "sqlite:///{}/study.db"])
def test_a_trial_has_its_owner_from_its_first_moment(tmp_path, kind, monkeypatch):
    """Killed at any later call of the storage, the run that goes on finds its trial; none stays running for ever."""
    storage = kind.format(tmp_path)
    study = SharedStudy(Search(SPACE, "random", 1), storage, "s", {})
    begun = study.state()
    with monkeypatch.context() as killed:
        killed.setattr(type(study._study._storage), "set_trial_param", lambda *given: (_ for _ in ()).throw(SystemExit))
        killed.setattr(
            type(study._study._storage), "set_trial_user_attr", lambda *given: (_ for _ in ()).throw(SystemExit)
        )
        with pytest.raises(SystemExit):
            study.ask()
    again = SharedStudy(Search(SPACE, "random", 1), storage, "s", {})
    again.load_state(begun)
    asked = again.ask()
    assert asked.number == 0
    whole = SharedStudy(Search(SPACE, "random", 1), kind.format(tmp_path).replace("study.", "other."), "s", {})
    assert asked.values == whole.ask().values
    again.tell(asked, 1.0)
    assert [trial.state.name for trial in again._study.trials] == ["COMPLETE"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not list open files")
def test_an_sqlite_file_is_closed_after_every_question(tmp_path):
    """From Python 3.13 on a connection that is left to the garbage collector is a ResourceWarning."""

    def opened():
        handles = [Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
        return [path for path in handles if path.exists() and os.path.realpath(path).startswith(str(tmp_path))]

    url = f"sqlite:///{tmp_path}/study.db"
    check_storage(url)
    study = SharedStudy(Search(SPACE, "random", 3), url, "s", {})
    for _ in range(2):
        asked = study.ask()
        study.tell(asked, asked.values["a"])
    assert len(study.trials) == 2 and opened() == []
    with pytest.raises(UserError, match="was begun with other terms"):
        SharedStudy(Search(SPACE, "random", 4), url, "s", {})
    assert opened() == []


def test_a_process_killed_with_a_journals_lock_gives_it_back_at_once(tmp_path, monkeypatch):
    """Optuna's own lock is a link, which outlives the process; others wait half a minute for it."""
    storage = f"journal:{tmp_path}/study.log"
    study = SharedStudy(Search(SPACE, "random", 1), storage, "s", {})
    lock = study._study._storage._backend._lock
    child = os.fork()
    if not child:
        lock.acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    monkeypatch.setattr("hyperopt_hn.search.optuna_bridge.storages.LOCKED_SECONDS", 0.5)
    assert study.ask().number == 0
    held = type(lock)(f"{tmp_path}/study.log")
    with pytest.raises(UserError, match=r"has held the lock.*wait for it, then use resume=True"):
        _while_another_holds(held, study.ask)


def _while_another_holds(lock, action):
    told, ready = os.pipe()
    child = os.fork()
    if not child:
        lock.acquire()
        os.write(ready, b"x")
        signal.pause()
    os.read(told, 1)
    try:
        action()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


FULL = """
import resource, signal, sys
from hyperopt_hn import Hyper, HyperSpace, UserError
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.storage import SharedStudy

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
study = SharedStudy(Search(HyperSpace([Hyper("a", 0.1, 0.0, 1.0)]), "random", 1), sys.argv[1], "s", {})
study.ask()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    study.ask()
except UserError as error:
    print(error.typed)
"""


@pytest.mark.parametrize(("kind", "remedy"), [("journal:", "make room"), ("sqlite:///", "check the disk")])
def test_a_storage_that_fails_in_use_is_gone_on_with_not_changed(tmp_path, kind, remedy):
    """Another storage would begin another search. Real failing writes: no file may be longer than 100 bytes."""
    words = [sys.executable, "-c", FULL, f"{kind}{tmp_path}/study"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.count("\n") == 1 and f"{remedy}, then use --resume" in done.stdout, done.stdout + done.stderr
    assert "--storage" not in done.stdout
