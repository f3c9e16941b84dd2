"""learn_vs_true_loss_hist: how far each surrogate's inferred loss is from the true loss.

Lorraine & Duvenaud 2018, figure 6 (bottom). The dashed line is no error. Over the Gaussian process as published (a
unit-amplitude RBF kernel, no noise term) the outline shows one with a fair kernel. The panels are figures of their
own, ax0_hist to ax2_hist.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.kit import small_print, style
from figures.kit.drawing import axis_limits
from figures.kit.drawing.surrogate_panels import (
    READS,
    RUNS,
    SURROGATES,
    Surrogate,
    head,
    is_published_setting,
    losses,
    window,
)
from figures.kit.runs import Array, Runs

__all__ = ["READS", "RUNS", "draw", "draw_panel"]

PUBLISHED_WINDOW = (-0.35, 0.6)
MOST_BINS, LEAST_BINS = 50, 10  # over a panel's own errors, as published; fewer where there are few points
POINTS_PER_BIN = 8


@style.styled()
def draw(runs: Runs) -> Figure:
    """Three panels on shared axes: Gaussian process, hyper-training fixed, hyper-training."""
    data = losses(runs)
    fig = small_print.page([runs[name] for name in RUNS], style.PAGE, 2.45)
    panels = fig.subplots(1, len(SURROGATES), sharex=True, sharey=True)
    shown = _window(runs, data)
    for axes, surrogate in zip(panels, SURROGATES, strict=True):
        _histogram(axes, surrogate, data, shown)
    style.legend_above(fig, panels[0], 2)
    panels[0].set_ylim(0.0, _tallest(data, shown))
    panels[0].set_ylabel("Frequency")
    panels[1].set_xlabel("Inferred \N{MINUS SIGN} true loss")
    return fig


@style.styled()
def draw_panel(runs: Runs, index: int) -> Figure:
    """Panel `index` of the figure alone, on the axes that the three share."""
    data = losses(runs)
    fig = small_print.page([runs[name] for name in RUNS], style.COLUMN, 2.55)
    axes = fig.add_subplot()
    shown = _window(runs, data)
    _histogram(axes, SURROGATES[index], data, shown)
    if SURROGATES[index].array == "gp":
        style.legend_above(fig, axes, 2)
    axes.set_ylim(0.0, _tallest(data, shown))
    axes.set_ylabel("Frequency")
    axes.set_xlabel("Inferred \N{MINUS SIGN} true loss")
    return fig


def _window(runs: Runs, data: dict[str, Array]) -> axis_limits.Window:
    if is_published_setting(runs):
        return PUBLISHED_WINDOW
    return window(np.zeros(1), [data[s.array] - data["true"] for s in SURROGATES])


def _density(data: dict[str, Array], array: str, shown: axis_limits.Window) -> tuple[Array, Array]:
    """Frequencies (B,) per unit of loss and the bins' edges (B + 1,), over a surrogate's own errors within `shown`.

    Errors that are not shown count in the total, so that a panel's bars sum to the share that it shows.
    """
    error = data[array] - data["true"]
    inside = error[(error >= shown[0]) & (error <= shown[1])]
    if not len(inside):
        return np.zeros(1), np.array(shown)
    bins: int | Array = int(np.clip(len(inside) // POINTS_PER_BIN, LEAST_BINS, MOST_BINS))
    widest = float(np.ptp(shown))
    if np.ptp(inside) < widest / 1e6:  # errors that are all alike: one narrow bar
        inside, bins = np.full_like(inside, inside.mean()), np.mean(inside) + widest / 200.0 * np.array([-1.0, 1.0])
    counts, edges = np.histogram(inside, bins=bins)
    return counts / (len(error) * np.diff(edges)), edges


def _tallest(data: dict[str, Array], shown: axis_limits.Window) -> float:
    return 1.06 * max(float(_density(data, name, shown)[0].max()) for name in data if name != "true") or 1.0


def _histogram(axes: Axes, surrogate: Surrogate, data: dict[str, Array], shown: axis_limits.Window) -> None:
    density, edges = _density(data, surrogate.array, shown)
    axes.stairs(density, edges, fill=True, color=surrogate.colour, alpha=0.75, label="GP as published")
    if surrogate.array == "gp":
        axes.stairs(*_density(data, "gp_fair", shown), color=style.BLACK, lw=0.9, label="GP with a fair kernel")
    axes.axvline(0.0, color=style.BLACK, linestyle=style.DASHED, lw=0.9)
    axes.set_xlim(shown)
    error = data[surrogate.array] - data["true"]
    head(axes, surrogate, data, int(np.sum((error < shown[0]) | (error > shown[1]))))
