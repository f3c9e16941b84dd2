"""A few seconds of kills at every event and of the system's faults; and what they found before stays mended."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns import faults, points
from tests.campaigns.__main__ import main
from tests.campaigns.apparatus.endings import CAUGHT, untrue
from tests.campaigns.apparatus.layer import Fault, built
from tests.campaigns.points import Disturbed

pytestmark = pytest.mark.skipif(built() is None, reason="the layer needs Linux and a C compiler")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    with points.disturbed("toy", tmp_path_factory.mktemp("toy")) as run:
        yield run


def said(run: Disturbed, fault: Fault) -> tuple[int, str]:
    run.fresh()
    code = run.once(fault)
    return code, run.told.read_text()


def first(run: Disturbed, *words: str) -> int:
    return next(at for at, event in enumerate(run.events, 1) if all(word in event for word in words))


def test_killed_at_a_few_events(toy: Disturbed, capsys: pytest.CaptureFixture[str]) -> None:
    assert points.killed_everywhere(toy, time.monotonic() + 2.0, random.Random(1)) == 0, capsys.readouterr().out
    assert f"toy: {len(toy.events)} events, killed at" in capsys.readouterr().out and len(toy.events) > 100


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--minutes", "0.01", "--at", "events", "--small", "toy", "--out"]
    assert main(["kill", *words, str(tmp_path)]) == 0, capsys.readouterr().out
    assert "points left for want of time" in capsys.readouterr().out


def test_a_few_faults(toy: Disturbed, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults.every(toy, time.monotonic() + 5.0, random.Random(1)) == 0, capsys.readouterr().out
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
    before = toy.events[: first(toy, "open", "result.json")]
    for name in ("/log.jsonl", "/clock.jsonl"):
        of_it = [event.split()[1] for event in before if event.endswith(name)]
        assert of_it[-1] == "fsync", of_it


def test_a_closed_terminal_leaves_a_checkpoint(toy: Disturbed) -> None:
    code, words = said(toy, Fault(first(toy, "write", "/clock.jsonl"), "signal 1"))
    assert code == CAUGHT and "saved in" in words and "--resume" in words
    assert not toy.resumed()
