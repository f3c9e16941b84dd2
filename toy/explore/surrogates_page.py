"""The page of learned against true losses: the surrogates' errors among networks up to a true loss of choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import CDSView, ColumnDataSource, IndexFilter, Range1d, Slider
from bokeh.plotting import figure

from hyperopt_hn.runs.pages.page import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    RED,
    WIDTH,
    heading,
    panel,
    script,
    table_source,
    words,
    write,
)
from hyperopt_hn.runs.reader import Run

TITLE = "weights-vs-loss: which prediction of the validation loss to trust"
TEXT = (
    "Each point is a network that was really trained at ten hyperparameters of its own; its true loss is across, what "
    "a surrogate inferred without training it is upwards. On the diagonal the guess is right. The slider leaves out "
    "networks with a large true loss: what matters for tuning is who is right about the good ones. Select points in "
    "one panel to see them in all."
)
SURROGATES = {"gp": ("Gaussian process, as published", RED), "gp_fair": ("Gaussian process, fair kernel", GREY),
              "fixed": ("hyper-training, fixed λ", GREEN), "stochastic": ("hyper-training", BLUE)}  # fmt: skip
TAIL = 0.02


def build(run: Run, path: Path) -> Path:
    """Write the page of a finished `weights-vs-loss/surrogates` run."""
    data = {name: run.arrays[name] for name in ("true", *SURROGATES)}
    true = data["true"]
    points, shown = ColumnDataSource(data, name="points"), IndexFilter(np.arange(len(true)))
    view = CDSView(filter=shown)
    ends = [np.quantile(values, [TAIL, 1.0 - TAIL]) for name, values in data.items() if name != "fixed"]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    margin = 0.1 * (high - low)
    x, y = Range1d(true.min() - margin / 4, true.max() + margin / 4), Range1d(low - margin, high + margin)
    panels = [_scatter(name, points, view, x, y) for name in SURROGATES]
    step = float(np.ptp(true)) / 200.0
    most = Slider(start=float(true.min()) + step, end=float(true.max()), step=step, value=float(true.max()),
                  title="true loss at most", name="most", format="0.0000", width=WIDTH // 2)  # fmt: skip
    numbers, table = table_source("what", "bias", "rmse"), words("", "table")
    move = script(__file__, points=points, view=view, most=most, numbers=numbers, table=table,
                  names=list(SURROGATES), titles=[title for title, _ in SURROGATES.values()])  # fmt: skip
    most.js_on_change("value", move)
    layout = column(heading(TITLE, TEXT, run), most, table, row(*panels[:2]), row(*panels[2:]), width=WIDTH)
    return write(path, TITLE, layout, move)


def _scatter(name: str, points: ColumnDataSource, view: CDSView, x: Range1d, y: Range1d) -> figure:
    title, colour = SURROGATES[name]
    plot = panel(title, "true loss", "inferred loss", x_range=x, y_range=y)
    plot.add_tools("box_select", "tap")
    plot.scatter("true", name, source=points, view=view, size=4, color=colour, alpha=0.35, line_color=None)
    plot.line([-1e3, 1e3], [-1e3, 1e3], color=BLACK)
    return plot
