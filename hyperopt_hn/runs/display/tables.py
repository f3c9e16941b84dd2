"""Runs as tables: the whole record of one as CSV, the best records of several as Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hyperopt_hn.runs.reader import Run

FORMATS = ("markdown", "latex", "csv")
"""How `best_records` may be written."""

MEASURES = ("loss", "mse", "accuracy", "perplexity")
"""Endings of what a record measures, in the order of its keys; the rest are counters."""

LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}


def record(run: Run) -> str:
    """The record as CSV: seconds, step, losses and every hyperparameter in natural units, a row per evaluation."""
    columns = run.columns()
    table = zip(run.seconds, *(run.column(name) for name in columns), strict=True)
    return csv_text(["seconds", *headings(columns)], [[exact(x) for x in row] for row in table])


def headings(columns: Sequence[str]) -> list[str]:
    """The columns of a record as headings of a table: hyperparameters by their names.

    One that is named as another column keeps its full name, "hypers/step", by which `Replay` knows it too.
    """
    taken = {"seconds", *(name for name in columns if not name.startswith("hypers/"))}
    short = [name.removeprefix("hypers/") for name in columns]
    return [name if brief in taken else brief for name, brief in zip(columns, short, strict=True)]


def best_records(runs: Iterable[Run], kind: str = FORMATS[0]) -> str:
    """A table with a row per run: what it was, and the record with the smallest validation loss."""
    found = [_row(run) for run in runs]
    names = list(dict.fromkeys(name for row in found for name in row))
    cells = [[str(row.get(name, "")) for name in names] for row in found]
    return {"markdown": _markdown, "latex": _latex, "csv": csv_text}[kind](names, cells)


def _row(run: Run) -> dict[str, Any]:
    """Heading -> cell."""
    data = run.config.get("data")
    row = {
        "run": f"{run.config.get('experiment', run.path.name)}/{run.config.get('arm', '')}".rstrip("/"),
        "preset": run.config.get("preset", ""),
        "data": data.get("name", "") if isinstance(data, Mapping) else "",
        "seed": run.config.get("seed", ""),
    }
    losses = run.column("valid_loss")
    if not np.isfinite(losses).any():
        return row
    best = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
    columns = [name for name in run.columns() if name.startswith("hypers/") or name.endswith(MEASURES)]
    values = {name: run.column(name)[best] for name in ("step", *columns)}
    return row | {
        heading: f"{value:.5g}" if np.isfinite(value) else ""
        for heading, value in zip(headings(list(values)), values.values(), strict=True)
    }


def exact(x: float) -> str | int:
    """A number as it is read back, bit for bit; empty for NaN."""
    if np.isnan(x):
        return ""
    return int(x) if np.isfinite(x) and x == int(x) else repr(float(x))


def csv_text(names: Sequence[str], cells: Iterable[Sequence[Any]]) -> str:
    """CSV: a line of headings, if there are any, and one for each row."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([*([names] if names else []), *cells])
    return out.getvalue()


def _markdown(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _latex(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join("".join(LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"

    body = [rf"\begin{{tabular}}{{{'l' * len(names)}}}", r"\hline", line(names), r"\hline", *map(line, rows)]
    return "\n".join([*body, r"\hline", r"\end{tabular}"]) + "\n"
