"""Every number of the paper, as text, from runs: rows of tables, optima, errors. What no run tells is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from figures import cnn_table, table1
from figures.kit import tables
from figures.kit.drawing import budget_lines
from figures.kit.published import LANGUAGE, OUTPUT_DROPOUT
from figures.kit.roots import run_folder
from figures.kit.runs import exists
from figures.kit.tables import Measure
from hyperopt_hn.runs.reader import Run

Rows = list[list[str]]
TOY_TABLES = {
    "medium": ("local-medium", {"hypernet": "Hypernetwork", "random": "Random search", "tpe": "TPE"}),
    "large": ("local-large", {"hypernet": "Hypernetwork", "random": "Random search", "unrolled": "Unrolled"}),
    "depth": ("depth", {"linear": "784-10", "one-hidden": "784-100-10", "two-hidden": "784-100-100-10"}),
}
"""Name of a table -> its experiment, and its arms with their words."""


def gathered(roots: Sequence[Path]) -> dict[str, Any]:
    """What the template reads, by name; None where a run is missing."""
    loss = (Measure("valid", ("", ""), "valid_loss", 3), Measure("test", ("", ""), "test_loss", 3))
    error = (Measure("valid", ("", ""), "valid_mse", 4), Measure("test", ("", ""), "test_mse", 4))
    perplexity = tuple(Measure(m.name, m.head, m.column, 1, math.exp) for m in loss)
    ways = {method.arm: method.label for method in budget_lines.METHODS}
    found: dict[str, Any] = {
        name: table(roots, experiment, arms, error if name == "depth" else loss)
        for name, (experiment, arms) in TOY_TABLES.items()
    }
    found["cnn"] = table(roots, "compare-cnn", ways, cnn_table.LAYOUT.measures, cnn_table.LAYOUT.beside.rows)
    found["lstm"] = table(roots, "compare-lstm", ways, perplexity, LANGUAGE.rows)
    found["table1"] = table(roots, "table1", table1.LAYOUT.rows, perplexity, OUTPUT_DROPOUT.rows)
    found["optimum"] = first(roots, "crossval/truth", _optimum)
    found["local"] = first(roots, "local-small/hypernet", lambda run: {"lambda": f"{_scalar(run, 'lambda_hat'):.3f}"})
    found["surrogates"] = first(roots, "weights-vs-loss/surrogates", _surrogates)
    tabled = {name: rows for name, rows in found.items() if isinstance(rows, list)}
    found["lowest"] = {name: min(rows, key=lambda row: float(row[2].split()[0]))[0] for name, rows in tabled.items()}
    found["roots"] = [root.name for root in roots]
    return found


def table(
    roots: Sequence[Path], experiment: str, arms: Any, measures: Sequence[Measure], beside: Any = None
) -> Rows | None:
    """A row an arm that some root holds: words, seeds, each measure's mean ± sd, and the recalled numbers."""
    body = []
    for arm, words in arms.items():
        runs = _runs(roots, f"{experiment}/{arm}")
        if not runs:
            continue
        values = np.array([tables.at_best(run, measures) for run in runs]).T
        cells = [tables.cell(row, one.digits) for row, one in zip(values, measures, strict=True)]
        pair = None if beside is None else beside.get(arm)
        digits = measures[0].digits
        recalled = [tables.NONE] * 2 if pair is None else [f"{x:.{digits}f}" for x in (pair.valid, pair.test)]
        body.append([words, str(len(runs)), *cells, *([] if beside is None else recalled)])
    return body or None


def first(roots: Sequence[Path], name: str, read: Callable[[Run], dict[str, Any]]) -> dict[str, Any] | None:
    """What `read` tells of the first root's run of that name."""
    runs = _runs(roots, name)
    return read(runs[0]) if runs else None


def _runs(roots: Sequence[Path], name: str) -> list[Run]:
    return [Run(run_folder(root, name)) for root in roots if exists(root, name)]


def _optimum(run: Run) -> dict[str, Any]:
    lam, valid = run.arrays["optimum_lambda"], run.arrays["cross_valid"]
    return {"lambda": f"{float(np.ravel(lam)[0]):.3f}", "valid": f"{float(np.min(valid)):.4f}"}


def _scalar(run: Run, name: str) -> float:
    return float(np.ravel(run.arrays[name])[-1])


def _surrogates(run: Run) -> dict[str, Any]:
    """Root mean squared error and correlation with the true loss of each surrogate."""
    true = np.ravel(run.arrays["true"])
    words = {
        "stochastic": "Hyper-training",
        "gp_fair": "GP, fair kernel",
        "gp": "GP as published",
        "fixed": "Hyper-training fixed",
    }
    rows = []
    for name, label in words.items():
        values = np.ravel(run.arrays[name])
        rmse, r = float(np.sqrt(np.mean((values - true) ** 2))), float(np.corrcoef(values, true)[0, 1])
        rows.append([label, f"{rmse:.3f}", f"{r:.2f}"])
    return {"count": f"{len(true):,}", "known": f"{run.column('known')[0]:.0f}", "rows": rows}
