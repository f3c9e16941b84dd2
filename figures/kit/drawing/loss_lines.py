"""Losses over the runtime, of one run or of several seeds: the arms of a comparison on one clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures.kit import seeds, small_print, style
from figures.kit.drawing.axis_limits import Window, around, widened
from figures.kit.runs import Array, Needs, Runs, check_seeds, columns
from figures.kit.seeds import Band, lines_remark, stepwise
from hyperopt_hn.runs.reader import Run

TRIALS = "trials"  # column with a search's trials so far; its record before the first one is left out
SETTLED = 0.15  # of the runtime; what a curve shows before need not fit on the loss axis


@dataclass(frozen=True)
class ArmLine:
    """One method in a comparison over runtime."""

    run: str
    label: str
    colour: str
    marker: str
    best: bool = False
    """Draw the best state so far by validation loss (what every run keeps), and the test loss of that same state."""


@dataclass(frozen=True)
class Comparison:
    """A figure of this family: the arms in the order of the legend, and what of them is drawn."""

    arms: tuple[ArmLine, ...]
    unit: str
    """"loss" (negative log likelihood) or "mse": the columns drawn are valid_<unit> and test_<unit>."""
    loss_label: str
    published_loss: Window
    """The loss axis of the published figure; it applies to the paper's settings on MNIST."""


def course(arm: ArmLine, split: str, unit: str, roots: Sequence[Runs], needs: Needs) -> Band:
    """`<split>_<unit>` ("valid", "test"; "loss", "mse") of an arm over seconds, of the roots that hold it.

    Several seeds share a grid of times from the last start to the first end; between records the last one holds.
    """
    return stepwise([_series(arm, f"{split}_{unit}", runs[arm.run], needs) for runs in roots if arm.run in runs])


def compare(comparison: Comparison, reads: Mapping[str, Needs], roots: Sequence[Runs], names: Sequence[str]) -> Figure:
    """Validation and test loss of each arm over seconds; `names` are the arms' words in the legend.

    An arm that no root holds is left out; `roots` are the same runs at several seeds. Raises UserError when two
    roots hold the same seed, whose spread would be none.
    """
    arms = [arm for arm in comparison.arms if any(arm.run in runs for runs in roots)]
    used = [runs[arm.run] for arm in arms for runs in roots if arm.run in runs]
    check_seeds([arm.run for arm in arms], roots)
    counts = [sum(arm.run in runs for runs in roots) for arm in arms]
    fig = small_print.page(used, style.COLUMN, 2.9, lines_remark(counts, any(arm.best for arm in arms)))
    axes = fig.add_subplot()
    courses = []
    for split, word in (("valid", "valid."), ("test", "test")):
        for arm, name in zip(comparison.arms, names, strict=True):
            if arm in arms:
                courses.append(course(arm, split, comparison.unit, roots, reads[arm.run]))
                seeds.draw(axes, courses[-1], f"{name}, {word}", _look(arm, split))
    axes.set_ylim(_loss_window(courses, comparison, small_print.is_published_setting(used)))
    axes.set_xlim(left=0.0)
    axes.set_xlabel("Runtime (s)")
    axes.set_ylabel(comparison.loss_label)
    style.legend_above(fig, axes, 2)
    return fig


def _look(arm: ArmLine, split: str) -> dict[str, Any]:
    """Validation solid, test dashed with open markers."""
    valid = split == "valid"
    return {"color": arm.colour, "linestyle": "-" if valid else style.DASHED, "marker": arm.marker, "ms": 3.6,
            "mfc": arm.colour if valid else "white", "mew": 0.8, "markevery": (0.06 if valid else 0.12, 0.18),
            "drawstyle": "steps-post" if arm.best else "default"}  # fmt: skip


def _loss_window(courses: Sequence[Band], comparison: Comparison, published: bool) -> Window:
    """The published window, grown to hold every end; else one that holds every course from SETTLED on.

    Early transients may leave the window, since they would flatten the rest.
    """
    if published:
        return widened(comparison.published_loss, np.array([one.mean[-1] for one in courses]))
    longest = max(float(one.at[-1]) for one in courses)
    parts = []
    for one in courses:
        late = one.at >= min(SETTLED * longest, float(one.at[-1]))
        parts += [one.mean[late] - one.spread[late], one.mean[late] + one.spread[late]]
    return around(np.concatenate(parts))


def _series(arm: ArmLine, column: str, run: Run, needs: Needs) -> tuple[Array, Array]:
    """Seconds and values in the clock's order; a search has nothing to show before its first trial has ended."""
    data = columns(run, needs)
    order = np.argsort(data["seconds"], kind="stable")
    if arm.best:
        tried = order[run.column(TRIALS)[order] != 0]  # NaN, and so kept, where the search does not count them
        order = tried if len(tried) else order
        return data["seconds"][order], data[column][order][best_so_far(data["valid_loss"][order])]
    return data["seconds"][order], data[column][order]


def best_so_far(losses: Array) -> np.ndarray:
    """For each record the index of the smallest loss up to it (the earlier one where two are equal)."""
    best = np.minimum.accumulate(losses)
    improved = np.append(True, best[1:] < best[:-1])
    return np.maximum.accumulate(np.where(improved, np.arange(len(losses)), 0))
