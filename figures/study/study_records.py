"""Records of the studies as tables of numbers, for figures and the paper: excesses, equal cost, perplexities, paths."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn.errors import UserError

Excesses = dict[str, list[tuple[str, int, float, float, float]]]
"""Way -> of each run its task, seed, excess retrained at λ̂, excess as trained, and processor seconds."""
PERPLEXITY = re.compile(r"ptb-quick-(?P<way>.+)-seed\d+\.jsonl")


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a record. Raises UserError naming the file and the line that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}; write it with python -m deep.study") from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"line {number} of {path} is no record of python -m deep.study; take it out") from error
    return found


def over_the_grid(path: Path) -> Excesses:
    """Excess validation losses over the best retrained grid point of the same task and seed."""
    lines = lines_of(path)
    best = {(r["task"], r["seed"]): min(row["losses"][0] for row in r["rows"]) for r in lines if r["name"] == "grid"}
    found: Excesses = {}
    for r in lines:
        if r["name"] != "grid" and (r["task"], r["seed"]) in best:
            low = best[r["task"], r["seed"]]
            run = (r["task"], r["seed"], r["retrained"][0] - low, r["trained"][0] - low, r["seconds"])
            found.setdefault(r["name"], []).append(run)
    return found


def at_each_budget(path: Path, place: int) -> tuple[list[float], dict[str, list[list[float] | None]]]:
    """The budgets, and for each arm and budget the excesses of the seeds (None where some run has no network yet).

    `place` is 1 for validation, 2 for test; the excess is over the lowest loss that any arm ended with on that task
    and seed, the mean over the tasks.
    """
    lines = lines_of(path)
    low: dict[tuple[str, int], float] = {}
    for r in lines:
        if r["marks"]:
            key = (r["task"], r["seed"])
            low[key] = min(low.get(key, math.inf), r["marks"][-1][place])
    budgets = sorted({mark[0] for r in lines for mark in r["marks"]})
    seeds, tasks = sorted({r["seed"] for r in lines}), {r["task"] for r in lines}
    arms: dict[str, list[list[float] | None]] = {}
    for arm in dict.fromkeys(r["arm"] for r in lines):
        mine = {(r["task"], r["seed"]): {m[0]: m[place] for m in r["marks"]} for r in lines if r["arm"] == arm}
        rows: list[list[float] | None] = []
        for budget in budgets:
            cells = [[mine.get((t, s), {}).get(budget, math.nan) - low[t, s] for t in tasks] for s in seeds]
            means = [math.fsum(cell) / len(cell) for cell in cells]
            rows.append(None if any(math.isnan(mean) for mean in means) else means)
        arms[arm] = rows
    return budgets, arms


def duels(path: Path, arm: str) -> tuple[list[float], dict[str, list[tuple[int, int]]]]:
    """The budgets, and for each other arm at each how often `arm` has the lower and the higher test loss."""
    lines = lines_of(path)
    marks = {(r["arm"], r["task"], r["seed"]): {m[0]: m[2] for m in r["marks"]} for r in lines}
    budgets = sorted({mark[0] for r in lines for mark in r["marks"]})
    found: dict[str, list[tuple[int, int]]] = {}
    for other in dict.fromkeys(r["arm"] for r in lines if r["arm"] != arm):
        pairs = [(v, marks[other, t, s]) for (a, t, s), v in marks.items() if a == arm and (other, t, s) in marks]
        found[other] = [
            (sum(a.get(b, math.inf) < c.get(b, math.inf) for a, c in pairs),
             sum(a.get(b, math.inf) > c.get(b, math.inf) for a, c in pairs)) for b in budgets
        ]  # fmt: skip
    return budgets, found


def perplexities(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Way -> of each seed the lowest validation perplexity and the test perplexity there."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(folder.glob("ptb-quick-*-seed*.jsonl")):
        match = PERPLEXITY.fullmatch(path.name)
        evaluated = [r for r in lines_of(path) if "valid_loss" in r]
        if match and evaluated:
            best = min(evaluated, key=lambda r: r["valid_loss"])
            found.setdefault(match["way"], []).append((math.exp(best["valid_loss"]), math.exp(best["test_loss"])))
    return found


def lockstep(values: Sequence[Sequence[float]]) -> float:
    """Mean over all pairs of columns of the correlation of their increments; (T, n) raw values; rests are left out."""
    steps = np.diff(np.asarray(values, dtype=float), axis=0)
    steps = steps[np.abs(steps).sum(axis=1) > 0.0]
    return float(np.corrcoef(steps.T)[np.triu_indices(steps.shape[1], 1)].mean())
