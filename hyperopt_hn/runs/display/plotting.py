"""Runs as a picture: losses and hyperparameters over steps. The one file of `runs` that loads matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hyperopt_hn.errors import UserError
from hyperopt_hn.files import atomic
from hyperopt_hn.runs.reader import Run

FORMATS = (".png", ".pdf", ".svg")
"""Endings of a picture's name."""

STYLES = ("-", "--", ":", "-.")


class Recorded(Protocol):
    """What is drawn of one run; `Run` is one."""

    @property
    def steps(self) -> np.ndarray:
        """Steps done at each record, (R,)."""
        ...

    def columns(self) -> list[str]:
        """Every key that `column` takes."""
        ...

    def column(self, key: str) -> np.ndarray:
        """One number per record, (R,)."""
        ...


def plot(runs: Sequence[Run], out: Path) -> None:
    """Losses above, hyperparameters below, over steps, in the format that the name ends in; written whole.

    Of several runs each has a colour, and the losses are the validation losses alone. Raises UserError for another
    ending than FORMATS and for a folder that is not there.
    """
    if len(runs) == 1:
        plot_one(runs[0], out)
        return
    figure, top, bottom = _page(out)
    for number, (run, label) in enumerate(zip(runs, labels(runs), strict=True)):
        _draw_among(run, label, f"C{number % 10}", top, bottom)
    top.set_ylabel("validation loss")
    _write(figure, out)


def plot_response(
    label: str, places: Sequence[float], losses: Mapping[str, Sequence[float]], now: float, out: Path
) -> None:
    """A learned and a retrained validation loss over settings, beside the present one; refuses what `plot` does."""
    _check(out)
    figure = Figure(figsize=(5.0, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    looks = ({"marker": "o"}, {"marker": "x", "linestyle": "", "markersize": 8, "markeredgewidth": 2})
    for (name, values), look, colour in zip(losses.items(), looks, ("#0072B2", "#D55E00"), strict=True):
        axes.plot(places, values, color=colour, label=name, **look)  # type: ignore[arg-type]
    axes.axhline(now, color="0.6", linestyle=":", label="at the present hyperparameters")
    axes.set_xlabel(label)
    axes.set_ylabel("validation loss")
    axes.legend(frameon=False)
    _write(figure, out)


def plot_one(run: Recorded, out: Path) -> None:
    """All losses of one run above, its hyperparameters below; otherwise as `plot`."""
    figure, top, bottom = _page(out)
    for name in run.columns():
        axis = bottom if name.startswith("hypers/") else top if name.endswith("loss") else None
        if axis is not None:
            axis.plot(run.steps, run.column(name), label=name.removeprefix("hypers/"))
    top.set_ylabel("loss")
    _write(figure, out)


def _check(out: Path) -> None:
    if out.suffix not in FORMATS:
        raise UserError(f"{out}: a picture's name ends in {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise UserError.spelled(
            lambda say: f"there is no folder {out.parent} for the picture; make it, or choose another {say('out', ...)}"
        )


def _page(out: Path) -> tuple[Figure, Axes, Axes]:
    _check(out)
    figure = Figure(figsize=(6, 5), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    bottom.set_ylabel("hyperparameter")
    bottom.set_xlabel("step")
    return figure, top, bottom


def _write(figure: Figure, out: Path) -> None:
    for axis in figure.axes:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7)
    atomic.write_atomic(out, lambda file: figure.savefig(file, format=out.suffix[1:], dpi=150))


def labels(runs: Sequence[Run]) -> list[str]:
    """By what the runs differ: experiment and arm, then the seed, else the folder."""
    short = [f"{run.config.get('experiment')}/{run.config.get('arm')}" for run in runs]
    if len(set(short)) < len(runs):
        short = [f"{name} seed {run.config.get('seed')}" for name, run in zip(short, runs, strict=True)]
    return short if len(set(short)) == len(runs) else [str(run.path) for run in runs]


def _draw_among(run: Run, label: str, colour: str, top: Axes, bottom: Axes) -> None:
    top.plot(run.steps, run.column("valid_loss"), color=colour, label=label)
    for number, name in enumerate(name for name in run.columns() if name.startswith("hypers/")):
        brief, style = name.removeprefix("hypers/"), STYLES[number % len(STYLES)]
        bottom.plot(run.steps, run.column(name), style, color=colour, label=f"{label} {brief}")
