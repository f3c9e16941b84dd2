"""Methods under one budget: the best validation loss that each has found so far, over time or over optimizer steps.

Every arm of a comparison is drawn that some root holds, a search from its first, half-trained network on. The axis
follows the budget that the runs were given: total steps, train and tune, where it was in steps, since
seconds of runs made side by side say little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.kit import seeds, small_print, style
from figures.kit.drawing.axis_limits import around
from figures.kit.drawing.loss_lines import best_so_far
from figures.kit.drawing.schedule_lines import count_thousands
from figures.kit.runs import Array, Needs, Runs, check_seeds, columns
from figures.kit.seeds import Band, Series, lines_remark, stepwise
from hyperopt_hn.runs.reader import Run

NEEDS = Needs(columns=("step", "valid_loss", "test_loss"))
SETTLED = 0.3  # of the budget; what a line shows before need not fit on the loss axis
SKY, ORANGE, OLIVE = "#56B4E9", "#E69F00", "#8A8A00"


@dataclass(frozen=True)
class MethodLine:
    """One method: its arm and how its line looks. Self-tuning solid, constants broken, searches with filled markers."""

    arm: str
    label: str
    colour: str
    marker: str
    dash: Any = "-"


METHODS = (
    MethodLine("stn", "STN", style.RED, "o"),
    MethodLine("delta", "Δ-STN", style.PURPLE, "D"),
    MethodLine("fixed", "Fixed initial values", style.GREY, "v", style.DASHED),
    MethodLine("hand", "Hand-set constants", style.BLACK, ">", style.DASHED),
    MethodLine("plain", "No regularisation", style.GREY, "", style.DOTTED),
    MethodLine("random", "Random search", style.BLUE, "s"),
    MethodLine("grid", "Grid search", SKY, "p"),
    MethodLine("tpe", "TPE", style.GREEN, "^"),
    MethodLine("gp", "Gaussian process", ORANGE, "<"),
    MethodLine("pbt", "Population-based", OLIVE, "h"),
)


def reads(experiment: str) -> dict[str, Needs]:
    """What a figure reads of a comparison: every method's run."""
    return {f"{experiment}/{method.arm}": NEEDS for method in METHODS}


def in_steps(runs: Sequence[Run]) -> bool:
    """Whether the runs' budget was in optimizer steps, given as such or as epochs; else it was in seconds."""
    configs = [run.config.get("config") for run in runs]
    return not any(isinstance(one, dict) and one.get("max_seconds") and not one.get("max_steps") for one in configs)


def best(run: Run, steps: bool) -> Series:
    """Where each record is, in steps or seconds, and the lowest validation loss up to it."""
    data = columns(run, NEEDS)
    losses = data["valid_loss"]
    return data["step" if steps else "seconds"], losses[best_so_far(losses)]


def draw(experiment: str, roots: Sequence[Runs], unit: str, of_loss: Callable[[Array], Array]) -> Figure:
    """Every method's best so far; `of_loss` turns validation losses into what is drawn, called `unit`."""
    check_seeds(reads(experiment), roots)
    runs = {method: [one[name] for one in roots if (name := f"{experiment}/{method.arm}") in one] for method in METHODS}
    used = [run for every in runs.values() for run in every]
    steps = in_steps(used)
    remark = lines_remark([len(every) for every in runs.values() if every], best=True)
    fig = small_print.page(used, style.COLUMN, 3.15, remark)
    axes = fig.add_subplot()
    bands = []
    for method, every in runs.items():
        if every:
            series = [best(run, steps) for run in every]
            bands.append(stepwise([(at, of_loss(losses)) for at, losses in series]))
            seeds.draw(axes, bands[-1], method.label, _look(method), shade=0.1)
    axes.set_ylim(_window(bands))
    axes.set_xlim(left=0.0)
    if steps:
        count_thousands(axes)
    axes.set_xlabel("Optimizer steps" if steps else "Runtime (s)")
    axes.set_ylabel(unit)
    style.legend_above(fig, axes, 2)
    return fig


def _look(method: MethodLine) -> dict[str, Any]:
    return {"color": method.colour, "linestyle": method.dash, "marker": method.marker, "ms": 3.6, "mew": 0.5,
            "mec": "white", "markevery": (0.06, 0.18), "drawstyle": "steps-post"}  # fmt: skip


def _window(bands: Sequence[Band]) -> tuple[float, float]:
    """Holds every line from SETTLED of the budget on; what is drawn before may leave it."""
    longest = max(float(band.at[-1]) for band in bands)
    late = [np.flatnonzero(band.at >= min(SETTLED * longest, float(band.at[-1]))) for band in bands]
    parts = [band.mean[on] + sign * band.spread[on] for band, on in zip(bands, late, strict=True) for sign in (-1, 1)]
    return around(np.concatenate(parts))
