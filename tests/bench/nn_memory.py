"""Memory of self-tuning over plain training: what a process takes beyond its libraries, at SelfTuner's defaults."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

from tests.bench.harness import Row

BAR = 1 / 1.15


def rows() -> list[Row]:
    """Every comparison, a process for each of its sides; none without torch, which `make bench` does not install."""
    if find_spec("torch") is None:
        return []
    from tests.bench import _nn_forms

    names = [task.name for task in _nn_forms.tasks()]
    found = []
    for name in names:
        plain, *others = (_mebibytes(name, form) for form in ("plain", "lowrank", "gated"))
        pairs = zip(("lowrank", "gated"), others, strict=True)
        found += [Row(f"{name} {form}", mine, plain, 0.0, BAR, "MiB") for form, mine in pairs]
    return found


def _mebibytes(name: str, form: str) -> float:
    command = [sys.executable, "-m", "tests.bench._nn_memory", name, form]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
