"""learn_vs_true_loss_scatter: the loss that each surrogate infers against the loss of networks really trained.

Lorraine & Duvenaud 2018, figure 6 (top). A Gaussian process learns the loss; hyper-training learns the weights, from
the same 25 settings ("fixed") or from fresh ones. Darker cells hold more settings; the diagonal is a perfect guess.
The panels are figures of their own, ax0_scatter to ax2_scatter.
"""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

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

PUBLISHED_WINDOW = (0.6, 1.1)
MOST_CELLS = 60  # across a panel


@style.styled()
def draw(runs: Runs) -> Figure:
    """Three panels on the same axes: Gaussian process, hyper-training fixed, hyper-training."""
    data = losses(runs)
    fig = small_print.page([runs[name] for name in RUNS], style.PAGE, 2.75)
    panels = fig.subplots(1, len(SURROGATES), sharex=True, sharey=True)
    for axes, surrogate in zip(panels, SURROGATES, strict=True):
        _scatter(axes, surrogate, data, _windows(runs, data))
    panels[0].set_ylabel("Inferred loss")
    panels[1].set_xlabel("True loss")
    return fig


@style.styled()
def draw_panel(runs: Runs, index: int) -> Figure:
    """Panel `index` of the figure alone, on the axes that the three share."""
    data = losses(runs)
    fig = small_print.page([runs[name] for name in RUNS], style.COLUMN, 3.1)
    axes = fig.add_subplot()
    _scatter(axes, SURROGATES[index], data, _windows(runs, data))
    axes.set_ylabel("Inferred loss")
    axes.set_xlabel("True loss")
    return fig


def _windows(runs: Runs, data: dict[str, Array]) -> tuple[axis_limits.Window, axis_limits.Window]:
    """Of the true and of the inferred loss: alike and square as published, else each what its data need."""
    if is_published_setting(runs):
        return PUBLISHED_WINDOW, PUBLISHED_WINDOW
    return axis_limits.around(data["true"], 0.03), window(data["true"], [data[s.array] for s in SURROGATES])


def _scatter(
    axes: Axes, surrogate: Surrogate, data: dict[str, Array], windows: tuple[axis_limits.Window, axis_limits.Window]
) -> None:
    values = data["true"], data[surrogate.array]
    inside = np.all([(v >= low) & (v <= high) for v, (low, high) in zip(values, windows, strict=True)], axis=0)
    both = max(low for low, _ in windows), min(high for _, high in windows)
    axes.plot(both, both, color=style.BLACK, lw=0.9, zorder=3)
    if inside.any():
        # Of a few points each gets a cell large enough to be seen; many points show their density.
        cells = int(np.clip(np.sqrt(inside.sum()), 24, MOST_CELLS))
        true, inferred = (v[inside] for v in values)
        axes.hexbin(true, inferred, gridsize=cells, extent=(*windows[0], *windows[1]), mincnt=1, linewidths=0.1,
                    cmap=_visible(surrogate.colormap), norm=LogNorm(), zorder=2)  # fmt: skip
    axes.set_xlim(windows[0])
    axes.set_ylim(windows[1])
    axes.set_box_aspect(1.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    head(axes, surrogate, data, int(np.sum(~inside)))


def _visible(name: str) -> LinearSegmentedColormap:
    """The colour map without its palest third, which would hide a single point on white paper."""
    return LinearSegmentedColormap.from_list(name, matplotlib.colormaps[name](np.linspace(0.35, 1.0, 256)))
