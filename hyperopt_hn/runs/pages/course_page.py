"""The page of any run that records hyperparameters, of `deep` too: their courses and the losses, with a time slider."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.layouts import column, gridplot, row
from bokeh.models import Slider, Span
from bokeh.plotting import figure

from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.pages.curves import Axis, axis_panel, read_axes
from hyperopt_hn.runs.pages.page import (
    BLUE,
    GREEN,
    GREY,
    RED,
    WIDTH,
    few_ticks,
    heading,
    legend_below,
    panel,
    read_off,
    script,
    table_source,
    words,
    write,
)
from hyperopt_hn.runs.reader import Run

HYPERS, GAIN = "hypers/", "gain/"
LOSSES = {"train_loss": BLUE, "valid_loss": RED, "test_loss": GREY}
ACROSS, MOST = 3, 24  # panels a row, hyperparameters
WIDE = 100.0
"""A positive course whose largest value is so many times its smallest has a logarithmic axis."""
TEXT = (
    "How the hyperparameters moved while the network trained, in natural units, and what became of the losses. Move "
    "the time, with the mouse or with the arrow keys; the table has the values of that record."
)

AXES = (
    " Below: what the learned response says of the validation loss when one hyperparameter leaves its value (dashed) "
    "and the others stay."
)


def build(run: Run, path: Path, axes: Mapping[str, Axis] | None = None, note: str = "") -> Path:
    """Write the page, with the run's own axes.json unless `axes` are given; `note` is a sentence more in its head.

    Raises UserError for a run whose record has no hyperparameters or that ended at once.
    """
    hypers = [name for name in run.columns() if name.startswith(HYPERS)][:MOST]
    if not hypers or len(run.records) < 2:
        raise UserError(f"{run.path} records no course of a hyperparameter, so there is no page of it")
    losses = [name for name in LOSSES if np.isfinite(run.column(name)).any()]
    steps, names = run.steps, [*losses, *hypers]
    values = [run.column(name) for name in names]
    title = f"{run.config.get('experiment')}/{run.config.get('arm')}: course of {len(hypers)} hyperparameters"
    time = Slider(start=0, end=len(steps) - 1, step=1, value=len(steps) - 1, title="time", name="time",
                  show_value=False, width=WIDTH // 2)  # fmt: skip
    shown = [_losses(steps, {name: run.column(name) for name in losses})] if losses else []
    shown += [_course(name, steps, run.column(name)) for name in hypers]
    gains = [name for name in run.columns() if name.startswith(GAIN)][:MOST]
    shown += [_course(f"{name.removeprefix(GAIN)}: gain t", steps, run.column(name)) for name in gains]
    lines = [_now(plot, float(steps[-1])) for plot in shown]
    table, numbers = words("", "table", WIDTH // ACROSS), table_source("what", "value")
    plain = [name.removeprefix(HYPERS) for name in names]
    move = script(__file__, time=time, steps=steps.astype(np.float64), lines=lines, table=table, numbers=numbers,
                  values=values, names=[escape(name) for name in plain])  # fmt: skip
    time.js_on_change("value", move)
    panels = gridplot(
        [shown[i : i + ACROSS - 1] for i in range(0, len(shown), ACROSS - 1)],
        merge_tools=False,
        toolbar_options={"logo": None},
    )
    axes = read_axes(run) if axes is None else axes
    across = [axis_panel(name, *axis, WIDTH // ACROSS) for name, axis in list(axes.items())[:MOST]]
    parts = [heading(title, TEXT + (AXES if across else "") + note, run), time, row(panels, table)]
    if across:
        below = [across[i : i + ACROSS] for i in range(0, len(across), ACROSS)]
        parts.append(gridplot(below, merge_tools=False, toolbar_options={"logo": None}))
    return write(path, title, column(*parts, width=WIDTH), move)


def _losses(steps: np.ndarray, losses: dict[str, np.ndarray]) -> figure:
    plot = _small("losses", steps, y_range=settled_range(list(losses.values())))
    for name, values in losses.items():
        line = plot.line(steps, values, color=LOSSES[name], line_width=2, legend_label=name)
        read_off(plot, line, "step", name)
    legend_below(plot)
    plot.legend[0].ncols = len(losses)
    plot.height = 230
    return plot


def settled_range(losses: list[np.ndarray]) -> tuple[float, float]:
    """From the least to the largest loss behind the first record, whose untrained network would flatten the rest."""
    found = np.concatenate([values[1:] if np.isfinite(values[1:]).any() else values for values in losses])
    found = found[np.isfinite(found)]
    room = 0.05 * (float(np.ptp(found)) or 1.0)
    return float(found.min()) - room, float(found.max()) + room


def _course(name: str, steps: np.ndarray, values: np.ndarray) -> figure:
    name, finite = name.removeprefix(HYPERS), values[np.isfinite(values)]
    wide = len(finite) > 0 and finite.min() > 0 and finite.max() > WIDE * finite.min()
    plot = _small(name, steps, y_axis_type="log" if wide else "linear")
    read_off(plot, plot.line(steps, values, color=GREEN, line_width=2), "step", name)
    return plot


def _small(title: str, steps: np.ndarray, **upright: Any) -> figure:
    plot = panel(title, "steps", "", x_range=(float(steps[0]), float(steps[-1])), **upright)
    plot.width = WIDTH // ACROSS
    few_ticks(plot, 210)
    return plot


def _now(plot: figure, step: float) -> Span:
    span = Span(location=step, dimension="height", line_color=GREY)
    plot.add_layout(span)
    return span
