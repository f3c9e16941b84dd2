"""The comparisons at equal cost by name: tasks, their length, seeds, budgets and arms; and running what is missing."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from deep.study.cost.cost_arms import ARMS, applies, outcome
from deep.study.many_hypers import MANY
from deep.study.tasks import SMALL
from hyperopt_hn.files.whole_lines import keep_whole_lines


@dataclass(frozen=True)
class CostPreset:
    """A comparison: every arm on every task and seed, a cell each."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budgets: tuple[float, ...]
    """In units of one plain training of the task."""
    arms: tuple[str, ...] = tuple(ARMS)
    steps: int = 0
    """Training steps of a network; 0: the task's own."""


TASKS = {task.name: task for task in (*SMALL, *MANY)}
"""All tasks by name."""
FEWER = ("fixed", "hand", "random", "tpe", "asha", "pbt", "split", "stn", "delta", "implicit")
"""The arms that are affordable on tasks of many hyperparameters."""

PRESETS = {
    "smoke": CostPreset(("cancer-mlp",), (1,), (1.0, 4.0), steps=30),
    "quick": CostPreset(
        ("cancer-mlp", "diabetes-mlp", "digits-mlp"), (601, 602, 603, 604, 605), (1.0, 2.0, 4.0, 8.0), steps=400
    ),
    "many": CostPreset(
        tuple(task.name for task in MANY if task.name != "text-layers"),
        tuple(range(611, 616)),
        (1.0, 2.0, 4.0, 8.0),
        FEWER,
    ),
    "full": CostPreset(tuple(TASKS), tuple(range(601, 611)), (1.0, 2.0, 4.0, 8.0, 16.0)),
}

Cell = tuple[str, int, str, tuple[float, ...], int]
"""Task, seed, arm, budgets, steps."""


def missing(preset: CostPreset, there: Sequence[dict[str, Any]]) -> list[Cell]:
    """The cells that a record lacks, seed by seed, so that a stopped study has whole seeds."""
    done = {(r["task"], r["seed"], r["arm"]) for r in there}
    cells = (
        (task, seed, arm, preset.budgets, preset.steps)
        for seed in preset.seeds for task in preset.tasks for arm in preset.arms if applies(arm, TASKS[task])
    )  # fmt: skip
    return [cell for cell in cells if cell[:3] not in done]


def run_missing(cells: Sequence[Cell], out: Path, jobs: int) -> None:
    """Run cells, one core each, and append a line for each that is finished."""
    out.parent.mkdir(parents=True, exist_ok=True)
    keep_whole_lines(out)
    for number, found in enumerate(_outcomes(cells, jobs), 1):
        with out.open("a") as file:
            file.write(json.dumps(found) + "\n")
        last = found["marks"][-1] if found["marks"] else [0, float("nan")]
        words = f"{found['task']} seed {found['seed']} {found['arm']}: {last[1]:.4f} at {last[0]:g} trainings"
        print(f"{number}/{len(cells)} {words}", flush=True)


def _outcomes(cells: Sequence[Cell], jobs: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        yield from map(_cell, cells)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_cell, cells)


def _cell(cell: Cell) -> dict[str, Any]:
    name, seed, arm, budgets, steps = cell
    torch.set_num_threads(1)
    task = TASKS[name]
    return outcome(replace(task, steps=steps or task.steps), seed, arm, budgets)
