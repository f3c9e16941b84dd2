"""The paper's numbers on training, responding and tuning apart, as text, from a folder of records of the studies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from figures.kit.tables import NONE
from figures.study.cost_against_quality import WORDS
from figures.study.study_records import at_each_budget, duels, lines_of, over_the_grid, perplexities

Rows = list[list[str]]
PENALTY = re.compile(
    r"seed (\d+): best (\S+) \(([\d.]+)\), from (\S+) to (\S+), excess ([+-][\d.]+), \d+ s", re.MULTILINE
)
BAD = 0.05
"""Excess validation loss from which a run counts as bad, as in the study."""


def told(folder: Path) -> dict[str, Any]:
    """What the template reads of a folder of records: per record rows, None or nothing where it has none."""
    five = {
        path.stem.rsplit("seeds-", 1)[1]: ways(path) for path in sorted(folder.glob("five-tasks-seeds-[45]*.jsonl"))
    }
    words = {"split": "split, low rank", "delta": "Δ-STN as published", "stn-centred": "STN, centred input"}
    ptb = [
        [words.get(way, way), str(len(pairs)), *(_spread(column, 1) for column in zip(*pairs, strict=True))]
        for way, pairs in perplexities(folder).items()
    ]
    penalty = next(iter(sorted(folder.glob("one-penalty-*.txt"))), None)
    return {
        "five": five,
        "ptb": ptb or None,
        "penalty": None if penalty is None else penalties(penalty.read_text(encoding="utf-8")),
        "cost": [equal_cost(path) for path in sorted(folder.glob("cost-*.jsonl"), reverse=True)],
    }


def ways(record: Path) -> Rows:
    """A row a way: runs, excess retrained at λ̂, the worst, how many are bad, excess as trained, seconds."""
    rows = []
    for way, runs in over_the_grid(record).items():
        retrained, trained, seconds = [run[2] for run in runs], [run[3] for run in runs], [run[4] for run in runs]
        bad = sum(value >= BAD for value in retrained)
        rows.append([
            WORDS.get(way, way), str(len(runs)), _spread(retrained, 3, sign="+"), f"{max(retrained):+.3f}", str(bad),
            _spread(trained, 3, sign="+"), f"{np.mean(seconds):.1f}",
        ])  # fmt: skip
    return rows


def penalties(text: str) -> dict[str, Any]:
    """Of a record of `deep.study.one_penalty` a row a run, and the excess over all."""
    found = PENALTY.findall(text)
    rows = [[seed, best, start, end, excess] for seed, best, _, start, end, excess in found]
    values = [float(row[-1]) for row in rows]
    return {"rows": rows, "mean": _spread(values, 3, sign="+"), "worst": f"{max(values):+.3f}", "count": str(len(rows))}


def equal_cost(record: Path) -> dict[str, Any]:
    """Excess by validation and by test at each budget, and the wins and losses of split by test loss."""
    budgets, valid = at_each_budget(record, 1)
    _, test = at_each_budget(record, 2)
    _, fights = duels(record, "split")
    lines = lines_of(record)
    return {
        "tasks": ", ".join(dict.fromkeys(str(line["task"]) for line in lines)),
        "seeds": ", ".join(map(str, sorted({line["seed"] for line in lines}))),
        "budgets": [f"{budget:g}" for budget in budgets],
        "valid": [[arm, *map(_seeds, rows)] for arm, rows in valid.items()],
        "test": [[arm, *map(_seeds, rows)] for arm, rows in test.items()],
        "duels": [[arm, *(f"{won} : {lost}" for won, lost in pairs)] for arm, pairs in fights.items()],
    }


def _seeds(values: Sequence[float] | None) -> str:
    return NONE if values is None else _spread(values, 3, sign="+")


def _spread(values: Sequence[float], digits: int, sign: str = "") -> str:
    mean = f"{np.mean(values):{sign}.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"
