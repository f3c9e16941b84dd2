"""docs/before-after.md: a plain script becomes self-tuning with few changed lines, and both run."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.support.digits_mlp import whole
from tests.support.paths import ROOT

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "before-after.md"


def changed(before: str, after: str) -> int:
    """How many lines a diff touches: replaced, added or removed; blank ones left out."""
    sides = [[line for line in text.splitlines() if line.strip()] for text in (before, after)]
    pieces = difflib.SequenceMatcher(None, *sides, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in pieces if kind != "equal")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    x, y = whole()
    big = np.kron(x.reshape(-1, 8, 8).numpy(), np.ones((3, 3)))
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=np.pad(big, ((0, 0), (2, 2), (2, 2))), y=y.numpy())
    return path


@pytest.mark.parametrize("script", ["before.py", "after.py"])
def test_both_scripts_run_and_learn(script, images, tmp_path):
    pytest.importorskip("tensorboard")
    words = [sys.executable, HERE / script, images, "--epochs", "3", "--rows", "300", "--out", tmp_path / "run"]
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 2.2, done.stdout  # knowing nothing: log 10 = 2.30
    assert (tmp_path / "run" / "net.pt").exists()
    assert ("dropout" in done.stdout) == (script == "after.py")


def test_few_lines_change_and_the_page_says_how_many():
    before, after = ((HERE / name).read_text() for name in ("before.py", "after.py"))
    assert len(before.splitlines()) in (71, 72)
    assert changed(before, after) <= 25
    text = PAGE.read_text()
    assert f"{changed(before, after)} lines" in text
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0):
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip():
            assert line in text, f"the page's difference lacks {line!r}"


def test_counting_changes():
    assert changed("a\nb\nc\n", "a\nx\ny\nc\n") == 2
    assert changed("a\nb\nc\n", "a\nc\n\n\n") == 1
    assert changed("a\n", "a\n\n") == 0
