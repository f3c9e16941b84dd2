"""A record of the study as a table: excess over the retrained grid, bad runs, warnings, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.nn.diagnosis.trust import wandering

BAD = 0.05
"""Excess validation loss from which a run counts as bad."""


@dataclass(frozen=True)
class Excess:
    """One run: excess validation loss over the best grid point, retrained at λ̂ and as trained, and what it cost."""

    task: str
    retrained: float
    trained: float
    warned: bool
    seconds: float


def excesses(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Excess]]:
    """Way -> its runs, of the tasks and seeds whose grid is in the record."""
    best = {(r["task"], r["seed"]): min(row["losses"][0] for row in r["rows"]) for r in records if r["name"] == "grid"}
    found: dict[str, list[Excess]] = {}
    for r in records:
        place = (r["task"], r["seed"])
        if r["name"] == "grid" or place not in best:
            continue
        warned = wandering(r["gain"], np.asarray(r["path"]))
        run = Excess(
            r["task"], r["retrained"][0] - best[place], r["trained"][0] - best[place], warned, float(r["seconds"])
        )
        found.setdefault(r["name"], []).append(run)
    return found


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """One line a way, means and standard deviations over tasks and seeds."""
    lines = [
        "excess validation loss over the best retrained grid point; bad: 0.05 and more; warned: the largest gain t is "
        "below 0 and λ̂ still moves by more than 1 raw unit in the last fifth",
        f"{'way':18} {'runs':>4} {'retrained at λ̂':>17} {'worst':>6} {'bad':>4} {'as trained':>17} "
        f"{'warned bad':>11} {'warned good':>11} {'seconds':>8}",
    ]
    for way, runs in excesses(records).items():
        bad = [run for run in runs if run.retrained >= BAD]
        good = [run for run in runs if run.retrained < BAD]
        lines.append(
            f"{way:18} {len(runs):4d} {_spread([run.retrained for run in runs]):>17} "
            f"{max(run.retrained for run in runs):+6.3f} {len(bad):4d} {_spread([run.trained for run in runs]):>17} "
            f"{_share(bad):>11} {_share(good):>11} {sum(run.seconds for run in runs) / len(runs):8.1f}"
        )
    lines.append("\nmeans by task (retrained at λ̂)")
    for way, runs in excesses(records).items():
        tasks = dict.fromkeys(run.task for run in runs)
        means = [f"{task} {_mean([r.retrained for r in runs if r.task == task]):+.3f}" for task in tasks]
        lines.append(f"{way:18} {'  '.join(means)}")
    return "\n".join(lines)


def _share(runs: Sequence[Excess]) -> str:
    return f"{sum(run.warned for run in runs)} of {len(runs)}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> str:
    mean = _mean(values)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1))
    return f"{mean:+.3f} ± {sd:.3f}"
