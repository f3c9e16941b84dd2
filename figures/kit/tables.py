"""Tables: rows of runs at their best state by validation, mean and sd over seeds, as a picture and as CSV.

A recalled number is in columns of its own, in grey and slanted, under a head that says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.kit import published as published_values
from figures.kit import small_print, style
from figures.kit.drawing.schedule_lines import HYPERS
from figures.kit.runs import Array, Runs, check_seeds, column
from hyperopt_hn.runs.reader import Run

ROW = 1.6 * style.TEXT / 72.0  # inches
GAP, MARGIN = 0.2, 0.06  # inches, between columns and beside the table
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Measure:
    """A column: its name in the CSV, its head in two lines, the log's column, and how a number is made of that."""

    name: str
    head: tuple[str, str]
    column: str
    digits: int
    of: Callable[[float], float] = float
    optional: bool = False
    """Whether a run's log may lack it."""


@dataclass(frozen=True)
class Layout:
    """A table: the experiment, its rows (arm -> words), its columns, and the published table beside it."""

    experiment: str
    rows: Mapping[str, str]
    measures: tuple[Measure, ...]
    beside: published_values.Table
    """Its two numbers a row are of the first two measures."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Arm -> the hyperparameter that it keeps constant, whose value from the runs' records follows the row's words."""


@dataclass(frozen=True)
class Row:
    """A method: its name, how many seeds, and for each measure the values at the seeds' best states (seeds,)."""

    arm: str
    label: str
    seeds: int
    values: tuple[Array, ...]


def at_best(run: Run, measures: Sequence[Measure]) -> list[float]:
    """Each measure at the record with the lowest validation loss; NaN for an optional one that the log lacks."""
    index = int(np.argmin(column(run, "valid_loss")))
    found = [run.column(one.column) if one.optional else column(run, one.column) for one in measures]
    return [one.of(float(values[index])) for one, values in zip(measures, found, strict=True)]


def rows(layout: Layout, roots: Sequence[Runs]) -> list[Row]:
    """The rows that some root holds. Raises UserError for a seed given twice."""
    names = {arm: f"{layout.experiment}/{arm}" for arm in layout.rows}
    check_seeds(names.values(), roots)
    found = []
    for arm, label in layout.rows.items():
        runs = [one[names[arm]] for one in roots if names[arm] in one]
        if runs:
            values = np.array([at_best(run, layout.measures) for run in runs])
            value = _constant(runs, layout.constants[arm]) if arm in layout.constants else ""
            found.append(Row(arm, label + value, len(runs), tuple(values.T)))
    return found


def _constant(runs: Sequence[Run], name: str) -> str:
    """A value that a run keeps throughout: " 0.68", or where the seeds differ " 0.74 to 0.79"."""
    values = [f"{float(column(run, HYPERS + name)[0]):.2f}" for run in runs]
    return f" {min(values)}" + (f" to {max(values)}" if min(values) != max(values) else "")


def used(layout: Layout, roots: Sequence[Runs]) -> list[Run]:
    """Every run of the table."""
    names = [f"{layout.experiment}/{arm}" for arm in layout.rows]
    return [one[name] for name in names for one in roots if name in one]


def draw(layout: Layout, roots: Sequence[Runs]) -> Figure:
    """The table as a picture, as wide as its columns need."""
    runs, body = used(layout, roots), rows(layout, roots)
    columns = _columns(layout, body)
    points = np.array([max(map(small_print.points, texts)) for texts in columns]) * style.TEXT / style.FOOTER
    points[-2:] = np.maximum(points[-2:], small_print.points(published_values.EVIDENCE) * style.TEXT / style.FOOTER / 2)
    inches = points / 72.0
    gap = min(GAP, (style.PAGE - 2.0 * MARGIN - inches.sum()) / (len(columns) - 1))
    edges = np.append(0.0, np.cumsum(inches + gap)) - gap / 2.0
    edges[[0, -1]] += gap / 2.0, 0.0
    width, height = edges[-1] + 2.0 * MARGIN, (len(body) + 3.0) * ROW
    recalled = f"Recalled: {published_values.label(layout.beside, runs)}"
    fig = small_print.page(runs, width, height, _remark(body), recalled)
    floor = small_print.picture_floor(fig)
    fig.set_layout_engine("none")
    axes = fig.add_axes((MARGIN / width, floor, 1.0 - 2.0 * MARGIN / width, 1.0 - floor))
    axes.set_axis_off()
    axes.set_xlim(0.0, edges[-1])
    axes.set_ylim(len(body) + 0.5, -2.5)
    _write(axes, columns, edges)
    return fig


def as_csv(layout: Layout, roots: Sequence[Runs]) -> str:
    """The table as CSV below comment lines that say what it was made of; an empty cell where there is no number."""
    runs, body = used(layout, roots), rows(layout, roots)
    small_print.check_kin(runs)
    recalled = f"recalled_valid, recalled_test: {published_values.label(layout.beside, runs)}"
    out = io.StringIO()
    out.writelines(f"# {line}\n" for line in small_print.sentences(runs, _remark(body), recalled))
    writer = csv.writer(out, lineterminator="\n")
    names = [name for one in layout.measures for name in (one.name, f"{one.name}_sd")]
    writer.writerow(["arm", "seeds", *names, "recalled_valid", "recalled_test", "like_for_like"])
    alike = "no" if published_values.differences(layout.beside, runs) else "not known"
    for row in body:
        pair = layout.beside.rows.get(row.arm)
        cells = [x for values in row.values for x in _mean_and_sd(values)]
        published = [None, None, ""] if pair is None else [pair.valid, pair.test, alike]
        writer.writerow([row.arm, row.seeds, *cells, *published])  # None is written as an empty cell
    return out.getvalue()


def cell(values: Array, digits: int) -> str:
    """Mean ± sd over the seeds, the mean alone for one seed, a dash where a seed lacks the number."""
    mean, sd = _mean_and_sd(values)
    if mean is None:
        return NONE
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")


def _mean_and_sd(values: Array) -> tuple[float | None, float | None]:
    if not np.all(np.isfinite(values)):
        return None, None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def _remark(body: Sequence[Row]) -> str:
    several = ", mean ± standard deviation over the seeds" if any(row.seeds > 1 for row in body) else ""
    return f"Each run at its best state by validation{several}"


def _columns(layout: Layout, body: Sequence[Row]) -> list[list[str]]:
    """Each column's texts, two of them its head; the last two columns are the published numbers."""
    columns = [["Method", "", *(row.label for row in body)], ["Seeds", "", *(str(row.seeds) for row in body)]]
    for index, one in enumerate(layout.measures):
        columns.append([*one.head, *(cell(row.values[index], one.digits) for row in body)])
    digits = layout.measures[0].digits
    for split in ("valid", "test"):
        pairs = [layout.beside.rows.get(row.arm) for row in body]
        numbers = [NONE if pair is None else f"{getattr(pair, split):.{digits}f}" for pair in pairs]
        columns.append(["", f"{split}{'.' if split == 'valid' else ''}", *numbers])
    return columns


def _write(axes: Axes, columns: Sequence[Sequence[str]], edges: Array) -> None:
    """Text and rules, row i at height i; `edges` of the columns in inches."""
    rows = len(columns[0]) - 2
    for index, texts in enumerate(columns):
        first = index == 0
        at = edges[0] if first else (edges[index] + edges[index + 1]) / 2.0
        look: dict[str, Any] = {"color": style.GREY, "style": "italic"} if index >= len(columns) - 2 else {}
        for place, text in enumerate(texts):
            axes.text(at, place - 1.5, text, ha="left" if first else "center", va="center", fontsize=style.TEXT, **look)
    axes.text((edges[-3] + edges[-1]) / 2.0, -1.5, f"{published_values.EVIDENCE}", ha="center", va="center",
              fontsize=style.TEXT, color=style.GREY, style="italic")  # fmt: skip
    for height, weight in ((-2.2, 0.9), (0.0, 0.6), (rows, 0.9)):
        axes.plot([0.0, edges[-1]], [height, height], color=style.BLACK, lw=weight, clip_on=False)
    axes.plot([edges[-3] + 0.04, edges[-1]], [-1.0, -1.0], color=style.GREY, lw=0.5)
