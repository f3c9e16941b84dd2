"""A few seconds of each campaign; and each notices what it is there for."""

from __future__ import annotations

import logging
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns import fuzz, kill
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    words = ["-m", "toy", "local-small", *kill.COMMON, "--out", str(out)]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (path,) = (path.parent for path in out.rglob("result.json"))
    return path


def test_a_few_seconds_of_damaged_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.campaign(0.08, tmp_path, 11, run) == 0, capsys.readouterr().out
    assert ", 0 faults" in capsys.readouterr().out
    assert logging.getLogger("hyperopt_hn").isEnabledFor(logging.WARNING), "what others log is heard again"


def test_a_reader_that_fails_is_found(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "READERS", {"log.jsonl": (lambda path: path.read_bytes().decode("ascii"),)})
    assert fuzz.campaign(0.05, tmp_path, 11, run) == 1
    assert "the input is" in capsys.readouterr().out and list(tmp_path.glob("failing-1-log.jsonl"))


def test_mutations_differ_and_are_repeatable() -> None:
    whole = bytes(range(256)) * 4
    first, again = ([fuzz.mutated(whole, random.Random(seed)) for seed in range(60)] for _ in range(2))
    assert first == again and len(set(first)) > 50


def test_a_few_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kill.campaign(0.12, tmp_path, 5, ("toy",)) == 0, capsys.readouterr().out
    told = capsys.readouterr().out
    assert "0 differ, 0 could not go on" in told and not told.startswith("kill: 0 kills")


def test_a_run_that_differs_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = tmp_path / "whole"
    kill._start("toy", whole).wait()
    files = kill._bytes(whole)
    changed = {name: content + b" " if name.endswith("jsonl") else content for name, content in files.items()}
    tally = kill.Tally()
    kill._one("toy", tmp_path / "again", changed, 1e3, random.Random(1), tally)
    assert (tally.runs, tally.differing, tally.broken) == (1, 1, 0) and "differ, see" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "again")
