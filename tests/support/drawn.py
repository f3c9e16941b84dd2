"""What stands on a drawn figure of deep, and in the logs that it was drawn from, for tests."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from figures.catalogue import SHEETS, choose
from figures.kit import render

DEEP = (
    *("stn_cnn_schedules", "cnn_loss_over_time", "cnn_table", "stn_dropouto_schedules", "table1"),
    *("lstm_schedules", "lstm_loss_over_time"),
)
LABELS = {
    "stn": "STN", "delta": "Δ-STN", "fixed": "Fixed initial values", "hand": "Hand-set constants",
    "plain": "No regularisation", "random": "Random search", "grid": "Grid search", "tpe": "TPE",
    "gp": "Gaussian process", "pbt": "Population-based",
}  # fmt: skip
"""Arm of a comparison -> its words on figures."""


def draw(name: str, *roots: Path) -> Figure:
    return SHEETS[name].draw(*render.gather(choose([name]), roots)[name])


def told(name: str, *roots: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The comment lines and the rows of a table's CSV."""
    as_csv = SHEETS[name].csv
    assert as_csv is not None
    lines = as_csv(*render.gather(choose([name]), roots)[name]).splitlines(keepends=True)
    comments = [line for line in lines if line.startswith("#")]
    return comments, list(csv.DictReader(io.StringIO("".join(lines[len(comments) :]))))


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def rewrite_log(folder: Path, entries: list[dict[str, Any]]) -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def lines(fig: Figure) -> dict[str, Any]:
    found = [line for axes in fig.axes for line in axes.lines if not str(line.get_label()).startswith("_")]
    assert len({line.get_label() for line in found}) == len(found)
    return {str(line.get_label()): line for line in found}


def bands(fig: Figure) -> list[PolyCollection]:
    return [band for axes in fig.axes for band in axes.collections if isinstance(band, PolyCollection)]


def words(fig: Figure) -> str:
    return "\n".join(text.get_text() for text in fig.findobj(Text))


def at_best(folder: Path, key: str) -> float:
    """The value at the record with the lowest validation loss."""
    return float(min(log(folder), key=lambda entry: entry["valid_loss"])[key])
