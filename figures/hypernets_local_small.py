"""hypernets_local_small: a linear hypernetwork is right near the current hyperparameter only, and that suffices.

Lorraine & Duvenaud 2018, section 4.2. Crosses: networks trained from scratch. Lines: the losses of the
hypernetwork's weights, true to the crosses at λ̂. Below: the distribution that λ was really drawn from in training.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.kit import small_print, style
from figures.kit.drawing import axis_limits
from figures.kit.runs import Array, Needs, Runs, arrays

READS = {
    "local-small/hypernet": Needs(
        arrays={"curve_lambda": "L", "curve_train": "L", "curve_valid": "L", "lambda_hat": "", "sigma": ""}
    ),
    "crossval/truth": Needs(arrays={"cross_lambda": "C", "cross_train": "C", "cross_valid": "C", "optimum_lambda": ""}),
}
RUNS = tuple(READS)
PUBLISHED_LOSS = (-1.5, 3.8)
NARROW = 0.002  # of the axes' width: a smaller sd is marked, not drawn
BUMP_HEIGHT = 0.16  # of the axes; a density has no place on a loss axis, so only its width is to scale


@style.styled()
def draw(runs: Runs) -> Figure:
    """Training and validation loss over λ: true networks against the local hypernetwork's weights."""
    net, truth = (arrays(runs[name], READS[name]) for name in RUNS)
    used = [runs[name] for name in RUNS]
    fig = small_print.page(used, style.COLUMN, 3.25)
    axes = fig.add_subplot()
    for split, colour, word, marker in (("train", style.BLUE, "Train", "+"), ("valid", style.RED, "Valid.", "x")):
        axes.plot(truth["cross_lambda"], truth[f"cross_{split}"], marker, color=colour, mew=1.4, zorder=4,
                  label=f"{word} loss of\noptimized weights")  # fmt: skip
        axes.plot(net["curve_lambda"], net[f"curve_{split}"], color=colour, zorder=3, lw=1.4,
                  linestyle=style.DASHDOT if split == "train" else "-",
                  label=f"{word} loss of\nhypernetwork weights")  # fmt: skip
    axes.axvline(float(truth["optimum_lambda"]), color=style.BLACK, linestyle=style.DASHED, lw=1.0, zorder=1,
                 label="Optimal hyper-\n" + r"parameter $\lambda^*$")  # fmt: skip
    axes.set_xlim(axis_limits.around(net["curve_lambda"], 0.02))
    axes.set_ylim(_loss_window(net, truth) if not small_print.is_published_setting(used) else PUBLISHED_LOSS)
    _draw_sampling(axes, float(net["lambda_hat"]), float(net["sigma"]), float(truth["optimum_lambda"]))
    axes.set_xlabel(r"Hyperparameter $\lambda$")
    axes.set_ylabel(r"Loss $\mathcal{L}$")
    handles, labels = axes.get_legend_handles_labels()
    order = [0, 1, 4, 2, 3, 5]  # train on the left, validation on the right
    style.legend_above(fig, axes, 2, [handles[k] for k in order], [labels[k] for k in order])
    return fig


def _loss_window(net: dict[str, Array], truth: dict[str, Array]) -> axis_limits.Window:
    crosses = np.append(truth["cross_train"], truth["cross_valid"])
    low, high = axis_limits.around_trusted(crosses, np.append(net["curve_train"], net["curve_valid"]), reach=0.2)
    return low - 0.12 * (high - low), high  # space for the sampling distribution under the curves


def _draw_sampling(axes: Axes, lam_hat: float, sigma: float, optimum: float) -> None:
    """p(λ|λ̂) along the bottom: a Normal of the run's real sd, or an arrow where it is narrower than a line.

    The arrow's words stand on the side away from the optimum's line.
    """
    across = axes.get_xaxis_transform()  # x in λ, y in fractions of the axes
    density = r"$p(\lambda|\hat{\lambda})$"
    left, right = axes.get_xlim()
    if sigma > NARROW * (right - left):
        lam = lam_hat + sigma * np.linspace(-4.0, 4.0, 201)
        bump = BUMP_HEIGHT * np.exp(-0.5 * ((lam - lam_hat) / sigma) ** 2)
        axes.fill_between(lam, bump, color=style.GREEN, alpha=0.35, lw=0.0, transform=across, zorder=2)
        axes.plot(lam, bump, color=style.GREEN, lw=1.2, transform=across, zorder=2,
                  label=f"{density}, sd {sigma:.2g}\n(height not to scale)")  # fmt: skip
        return
    words = f"sd {sigma:.0e},\nall within the arrow" if sigma > 0.0 else "sd 0,\nall at the arrow"
    axes.plot([lam_hat, lam_hat], [0.0, BUMP_HEIGHT], color=style.GREEN, lw=1.6, marker="^", markevery=[1], ms=5.0,
              transform=across, zorder=5, label=f"{density}: {words}")  # fmt: skip
    side = -1.0 if lam_hat < optimum else 1.0
    axes.annotate(rf"$\hat{{\lambda}} = {lam_hat:.2f}$", (lam_hat, BUMP_HEIGHT / 2), (5.0 * side, 0.0), across,
                  "offset points", color=style.GREEN, va="center", ha="right" if side < 0.0 else "left")  # fmt: skip
