"""The pieces that want a GPU, rehearsed: they stop in time, go on, are left out once done, and failures are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch")

from deep.full_size import main, pieces
from tests.support.paths import ROOT


def called(out, *more):
    command = [sys.executable, "-m", "deep.full_size", "--tiny", "--out", str(out), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_piece_is_done_once(tmp_path):
    first = called(tmp_path, "--only", "lstm-split", "--minutes", "3")
    assert first.returncode == 0 and "lstm-split: done" in first.stdout and "nothing is left" in first.stdout
    assert len(list(tmp_path.rglob("log.jsonl"))) == 1
    again = called(tmp_path, "--only", "lstm-split", "--minutes", "3")
    assert again.returncode == 0 and again.stdout == "nothing is left\n"


def test_time_that_is_over_leaves_the_rest(tmp_path):
    done = called(tmp_path, "--minutes", "0.1")
    names = ", ".join(piece.name for piece in pieces(tmp_path, True))
    assert done.returncode == 0 and done.stdout == f"left: {names}; call again\n"


def test_a_failure_is_named(tmp_path):
    (tmp_path / "smoke").touch()
    blocked = tmp_path / "out"
    blocked.mkdir()
    (blocked / "cnn-alexnet-stn.log").touch()
    blocked.joinpath("table1.log").touch()
    done = called(blocked, "--only", "table1", "--minutes", "2")
    assert done.returncode == 0
    folder = next(path for path in blocked.iterdir() if path.is_dir())
    next(folder.rglob("config.json")).write_text("{")
    (blocked / "table1.done").unlink()
    failed = called(blocked, "--only", "table1", "--minutes", "2")
    assert failed.returncode == 1 and "table1: failed with exit code 2" in failed.stdout


@pytest.mark.slow
def test_the_whole_rehearsal(tmp_path):
    done = called(tmp_path, "--minutes", "15")
    assert done.returncode == 0 and done.stdout.endswith("nothing is left\n"), done.stdout


def test_what_is_not_there_is_one_line(tmp_path, capsys):
    for arguments, words in ((["--only", "nonsense"], "there is no piece"), (["--minutes", "-1"], "above 0")):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--out", str(tmp_path)])
        assert ended.value.code == 2 and words in capsys.readouterr().err
