"""Hyperparameters over training: one line each, of one run or the mean and spread of several seeds, named at its end.

Values are in natural units, at the run's evaluations; the axis counts training steps, not tuning steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from figures.kit import seeds, small_print, style
from figures.kit.runs import Needs, Runs, check_seeds, column
from figures.kit.seeds import Band, interpolated, lines_remark
from hyperopt_hn.runs.reader import Run

STEPS = "train_steps"
NEEDS = Needs(columns=(STEPS,))
HYPERS = "hypers/"
HEADROOM = 1.06  # of the highest value on an axis that starts at 0
LABEL_GAP = 1.25  # lines of small print from one name at a line's end to the next
LINES = (
    (style.BLUE, "-"),
    (style.RED, style.DASHED),
    (style.GREEN, style.DASHDOT),
    (style.PURPLE, style.DOTTED),
    (style.BLACK, (0, (8.0, 1.5))),
)
"""Looks of lines that share a pair of axes: no two alike in colour or in dash."""


@dataclass(frozen=True)
class Line:
    """One hyperparameter in a panel."""

    name: str
    label: str
    colour: str
    dash: Any = "-"


@dataclass(frozen=True)
class Panel:
    """A pair of axes: the lines on it and, where the second unit is another one, a single line on the right axis."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    right: Line | None = None
    right_unit: str = ""


def source(roots: Sequence[Runs]) -> tuple[str, list[Run]]:
    """The one run that a schedule figure draws, at each root's seed. Raises UserError for a seed given twice."""
    (name,) = dict.fromkeys(name for runs in roots for name in runs)
    check_seeds([name], roots)
    return name, [runs[name] for runs in roots]


def recorded(runs: Sequence[Run]) -> list[str]:
    """The hyperparameters that every one of the runs recorded, in the order of the first."""
    names = [name.removeprefix(HYPERS) for name in runs[0].columns() if name.startswith(HYPERS)]
    return [name for name in names if all(HYPERS + name in run.columns() for run in runs)]


def course(runs: Sequence[Run], name: str) -> Band:
    """A hyperparameter over training steps; records at which no training step was made since the last are dropped."""
    series = []
    for run in runs:
        steps, values = column(run, STEPS), column(run, HYPERS + name)
        last = np.append(steps[1:] > steps[:-1], True)
        series.append((steps[last], values[last]))
    return interpolated(series)


def shades(names: Sequence[str]) -> tuple[Line, ...]:
    """Lines, under their own names, for layers of one kind: dark blue for the first, light green for the last."""
    places = np.linspace(0.1, 0.76, len(names)) if len(names) > 1 else [0.1]
    colours = ["#" + "".join(f"{round(255 * part):02x}" for part in colormaps["viridis"](at)[:3]) for at in places]
    return tuple(Line(*one) for one in zip(names, names, colours, strict=True))


def labelled(names: Sequence[str], labels: dict[str, str]) -> tuple[Line, ...]:
    """Lines for those of the labelled hyperparameters that are among `names`, in the labels' order."""
    there = [name for name in labels if name in names]
    return tuple(Line(name, labels[name], *LINES[index]) for index, name in enumerate(there))


def draw(panels: Sequence[Panel], runs: Sequence[Run], columns: int = 2) -> Figure:
    """The panels that have lines, `columns` a row, over training steps. `runs` are one run at several seeds."""
    panels = [panel for panel in panels if panel.lines]
    rows = -(-len(panels) // columns)
    most = max(len(panel.lines) for panel in panels)
    height = max(1.55, 0.45 + most * LABEL_GAP * style.SMALL / 72.0)
    fig = small_print.page(runs, style.PAGE if columns > 1 else style.COLUMN, rows * height, lines_remark([len(runs)]))
    for index, panel in enumerate(panels):
        axes = fig.add_subplot(rows, columns, index + 1)
        _fill(axes, panel, runs, height - 0.45)
        if index >= len(panels) - columns:
            axes.set_xlabel("Train steps")
    return fig


def plot(axes: Axes, band: Band, line: Line) -> None:
    """The line in its look."""
    seeds.draw(axes, band, line.label, {"color": line.colour, "linestyle": line.dash})


def count_thousands(axes: Axes) -> None:
    """Steps as 5k, 10k, ..."""
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _fill(axes: Axes, panel: Panel, runs: Sequence[Run], height: float) -> None:
    ends = []
    for line in panel.lines:
        band = course(runs, line.name)
        plot(axes, band, line)
        ends.append((float(band.mean[-1]), line))
    axes.set_title(panel.title)
    axes.set_ylabel(panel.unit)
    axes.set_xlim(0.0, max(axes.dataLim.x1, 1.0))
    axes.set_ylim(0.0, HEADROOM * max(axes.dataLim.y1, 1e-3))
    count_thousands(axes)
    if panel.right is None:
        _name_ends(axes, ends, height)
        return
    (only,) = panel.lines
    second = axes.twinx()
    plot(second, course(runs, panel.right.name), panel.right)
    second.spines["right"].set_visible(True)
    second.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for side, line, unit in ((axes, only, panel.unit), (second, panel.right, panel.right_unit)):
        side.set_ylabel(unit, color=line.colour)
        side.tick_params(axis="y", colors=line.colour)
    second.set_ylim(0.0, 1.3 * HEADROOM * max(second.dataLim.y1, 1e-3))  # two flat lines do not cover each other


def _name_ends(axes: Axes, ends: Sequence[tuple[float, Line]], height: float) -> None:
    """Each line's name right of its end, moved apart where two would overlap; `height` of the axes in inches."""
    low, high = axes.get_ylim()
    gap = LABEL_GAP * style.SMALL / 72.0 / height
    order = sorted(ends, key=lambda end: end[0])
    shares = [min(max((value - low) / (high - low), 0.0), 1.0) for value, _ in order]
    for place, share, (_, line) in zip(_spread_out(shares, gap), shares, order, strict=True):
        axes.annotate(
            line.label, (1.0, share), (1.06, place), "axes fraction", "axes fraction",
            va="center", fontsize=style.SMALL, color=line.colour,
            arrowprops={"arrowstyle": "-", "color": line.colour, "lw": 0.5, "shrinkA": 0.0, "shrinkB": 0.0,
                        "relpos": (0.0, 0.5)},
        )  # fmt: skip


def _spread_out(places: Sequence[float], gap: float) -> list[float]:
    """Rising places moved as little as possible until neighbours are `gap` apart, and then into [0, 1]."""
    blocks: list[tuple[float, int]] = []  # (mean of place - index * gap, how many): pooled where the order breaks
    for index, place in enumerate(places):
        mean, count = place - index * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    lows = [mean for mean, count in blocks for _ in range(count)]
    ceiling = 1.0 - (len(places) - 1) * gap
    return [max(0.0, min(low, ceiling)) + index * gap for index, low in enumerate(lows)]
