"""The bench harness: ratios, agreement and bars are what they say."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from tests.bench.harness import Row, compare, table
from tests.support.paths import ROOT


def busy(seconds, answer):
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    return answer


def test_ratio_and_agreement():
    row = compare("x", lambda: busy(0.002, [1.0, 2.0]), lambda: busy(0.02, np.array([1.0, 2.5])), repeats=3, bar=4.0)
    assert 4.0 < row.ratio < 25.0
    assert row.agreement == pytest.approx(0.2)
    assert not row.missed


def test_a_missed_bar_is_shouted():
    row = Row("slow one", 1.0, 3.0, 0.0, bar=5.0)
    assert row.missed
    assert "BELOW THE BAR" in table([row])
    assert "3.00x" in table([row])


def test_an_unknown_benchmark_is_one_line():
    root = ROOT
    done = subprocess.run([sys.executable, "-m", "tests.bench", "nonsense"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 2
    assert "toy_steps" in done.stdout
    assert "Traceback" not in done.stderr
