"""A few seconds of kills at every event and of the system's faults; and what they found before stays mended."""

from __future__ import annotations

import errno
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.campaigns import faults, points
from tests.campaigns.__main__ import main
from tests.campaigns.apparatus.endings import CAUGHT, untrue
from tests.campaigns.apparatus.layer import Fault
from tests.campaigns.points import Disturbed


def said(run: Disturbed, fault: Fault) -> tuple[int, str]:
    run.fresh()
    code = run.once(fault)
    return code, run.told.read_text()


def first(run: Disturbed, what: str, name: str) -> int:
    """The first event of this kind on a file of this name; the folder above the run may have any name."""
    parted = ((at, *event.split(maxsplit=2)[1:]) for at, event in enumerate(run.events, 1))
    return next(at for at, verb, path in parted if verb == what and name in path.replace(str(run.out), ""))


def test_killed_at_a_few_events(toy: Disturbed, capsys: pytest.CaptureFixture[str]) -> None:
    assert points.killed_everywhere(toy, time.monotonic() + 1.5, random.Random(1)) == 0, capsys.readouterr().out
    assert f"toy: {len(toy.events)} events, killed at" in capsys.readouterr().out and len(toy.events) > 100


def test_the_command_knows_its_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("--at", "--small", "--programs", "--storages"):
        with pytest.raises(SystemExit) as ended:
            main(["kill", "--out", str(tmp_path), name, "nonsense"])
        assert ended.value.code == 2 and "nonsense" in capsys.readouterr().err


def test_a_few_faults(toy: Disturbed, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.every(toy, time.monotonic() + 4.0, random.Random(1)) == 0, capsys.readouterr().out
    assert ", 0 wrong: EIO " in capsys.readouterr().out


def test_a_run_that_answers_wrongly_is_found(toy: Disturbed) -> None:
    toy.fresh()
    assert "differ" in untrue(0, "", toy.folder, toy.whole)
    assert "traceback" in untrue(1, "Traceback (most recent call last):\nOSError", toy.folder, toy.whole)
    assert "2 lines" in untrue(2, "error: one; use --resume\nand more", toy.folder, toy.whole)
    assert "no remedy" in untrue(2, "error: the system: Input/output error", toy.folder, toy.whole)


def test_a_checkpoint_is_only_spoken_of_where_there_is_one(toy: Disturbed) -> None:
    code, early = said(toy, Fault(first(toy, "write", ".checkpoint."), f"fails {errno.ENOSPC}"))
    assert code == 2 and "there was no checkpoint yet; make room" in early
    code, late = said(toy, Fault(first(toy, "write", "arrays.npz"), f"fails {errno.EIO}"))
    assert code == 2 and "the last checkpoint is whole; check the disk" in late


def test_a_record_that_is_on_disk_may_fail_to_close(toy: Disturbed) -> None:
    last = max(at for at, event in enumerate(toy.events, 1) if " close " in event and event.endswith("/log.jsonl"))
    assert said(toy, Fault(last, f"fails {errno.EIO}"))[0] == 0
    assert first(toy, "rename", "result.json") < last


def test_the_record_is_on_disk_before_the_result(toy: Disturbed) -> None:
    before = toy.events[: first(toy, "open", "/.result.json")]
    for name in ("/log.jsonl", "/clock.jsonl"):
        of_it = [event.split()[1] for event in before if event.endswith(name)]
        assert of_it[-1] == "fsync", of_it


def test_a_closed_terminal_leaves_a_checkpoint(toy: Disturbed) -> None:
    code, words = said(toy, Fault(first(toy, "write", "/clock.jsonl"), "signal 1"))
    assert code == CAUGHT and "saved in" in words and "--resume" in words
    assert not toy.resumed()


def test_a_checkpoint_that_the_system_did_not_give_is_not_called_damaged(toy: Disturbed) -> None:
    """The advice would be to start again; and the one before must not take its place."""
    toy.fresh()
    toy.once(Fault(first(toy, "write", "arrays.npz")))
    (newest,) = toy.folder.rglob("checkpoint.npz")
    whole, reads = newest.read_bytes(), Fault(reads=True).environment(toy.folder, toy.out / "reads.events")
    shutil.copytree(toy.folder, toy.out / "cut", dirs_exist_ok=True)
    toy.nursery.start(toy.words, toy.told, reads).wait()
    events = (toy.out / "reads.events").read_text().splitlines()
    of_it = [at for at, event in enumerate(events, 1) if " read " in event and event.endswith("/checkpoint.npz")]
    assert len(of_it) > 5
    for at in (of_it[0], of_it[len(of_it) // 2], of_it[-1]):
        shutil.copytree(toy.out / "cut", toy.folder, dirs_exist_ok=True)
        (toy.folder / newest.relative_to(toy.folder).with_name("result.json")).unlink(missing_ok=True)
        code = toy.once(Fault(at, f"fails {errno.EIO}", reads=True))
        assert code == 2 and "cannot be read (Input/output error)" in toy.told.read_text()
        assert newest.read_bytes() == whole and not toy.resumed()
