"""hypernets_global_small: one hypernetwork follows the validation loss over the whole range of a hyperparameter.

Lorraine & Duvenaud 2018, section 4.1. Crosses: networks trained from scratch at ten values of λ. Line: the loss of
the hypernetwork's weights. Dashed: the λ at which networks trained from scratch do best. Triangle: where
Algorithm 2's second phase, tuning through the finished hypernetwork, ended.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from figures.kit import small_print, style
from figures.kit.drawing import axis_limits
from figures.kit.runs import Array, Needs, Runs, arrays

READS = {
    "global-small/hypernet": Needs(arrays={"curve_lambda": "L", "curve_valid": "L", "tuned_lambda": ""}),
    "crossval/truth": Needs(arrays={"cross_lambda": "C", "cross_valid": "C", "optimum_lambda": ""}),
}
RUNS = tuple(READS)


@style.styled()
def draw(runs: Runs) -> Figure:
    """Validation loss over λ: true networks against the hypernetwork's weights."""
    net, truth = (arrays(runs[name], READS[name]) for name in RUNS)
    fig = small_print.page([runs[name] for name in RUNS], style.COLUMN, 2.75)
    axes = fig.add_subplot()
    axes.axvline(float(truth["optimum_lambda"]), color=style.BLACK, linestyle=style.DASHED, lw=1.0, zorder=1,
                 label=r"Optimal hyperparameter $\lambda^*$")  # fmt: skip
    axes.plot(net["curve_lambda"], net["curve_valid"], color=style.RED, zorder=2, label="Optimized hypernetwork")
    axes.plot(truth["cross_lambda"], truth["cross_valid"], "x", color=style.BLACK, mew=1.3, zorder=4,
              label="Cross-validation")  # fmt: skip
    axes.set_xlim(axis_limits.around(net["curve_lambda"], 0.02))
    low, high = axis_limits.around_trusted(truth["cross_valid"], net["curve_valid"])
    axes.set_ylim(low - 0.05 * (high - low), high)  # space for the triangle under the curve
    _mark_tuned(axes, net)
    axes.set_xlabel(r"Hyperparameter $\lambda$")
    axes.set_ylabel(r"Validation loss $\mathcal{L}_{\mathrm{Valid.}}$")
    style.legend_above(fig, axes, 2)
    return fig


def _mark_tuned(axes: Axes, net: dict[str, Array]) -> None:
    """A triangle that points up at the curve at the tuned λ̂, or out of the axes' edge when λ̂ is beyond it."""
    tuned, (left, right) = float(net["tuned_lambda"]), axes.get_xlim()
    inside = left <= tuned <= right
    marker = "^" if inside else "<" if tuned < left else ">"
    at = float(np.clip(tuned, left, right))
    below = axes.transData + ScaledTranslation(0.0, -6.5 / 72.0, axes.figure.dpi_scale_trans)
    axes.plot(at, np.interp(at, net["curve_lambda"], net["curve_valid"]), marker, color=style.BLUE, mec="white",
              mew=0.5, ms=7.0, zorder=5, clip_on=False, transform=below if inside else axes.transData,
              label=r"Tuned $\hat{\lambda}$" + ("" if inside else " (outside)"))  # fmt: skip
