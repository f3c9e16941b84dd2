"""What the two learn_vs_true_loss figures share: three surrogates, the colours they keep, and their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from figures.kit import small_print, style
from figures.kit.drawing import axis_limits
from figures.kit.runs import Array, Needs, Runs, arrays

READS = {
    "weights-vs-loss/surrogates": Needs(
        arrays={"true": "M", "gp": "M", "gp_fair": "M", "fixed": "M", "stochastic": "M"}
    ),
}
RUNS = tuple(READS)
TAIL = 0.01  # of a surrogate's points, at each end, that a window chosen from the data need not hold
REACH = 0.25  # of the others' range, on each side, that the widest surrogate may add


@dataclass(frozen=True)
class Surrogate:
    """One way to infer the validation loss at a hyperparameter without training a network there."""

    array: str
    title: str
    colour: str
    colormap: str


SURROGATES = (
    Surrogate("gp", "GP mean", style.RED, "Reds"),
    Surrogate("fixed", "Hyper-training fixed", style.GREEN, "Greens"),
    Surrogate("stochastic", "Hyper-training", style.BLUE, "Blues"),
)


def losses(runs: Runs) -> dict[str, Array]:
    """The true loss and each surrogate's inferred loss at M hyperparameters."""
    (name,) = RUNS
    return arrays(runs[name], READS[name])


def window(trusted: Array, others: list[Array]) -> axis_limits.Window:
    """The range of `trusted`, grown to hold most of each of `others`; of the widest of them only REACH times as much.

    A surrogate that is far off at some settings must not leave the others a corner of their panels.
    """
    low, high = float(np.min(trusted)), float(np.max(trusted))
    ends = [np.quantile(values, [TAIL, 1.0 - TAIL]) for values in others]
    *most, widest = sorted(ends, key=lambda pair: float(pair[1] - pair[0]))
    low, high = min(low, *(pair[0] for pair in most)), max(high, *(pair[1] for pair in most))
    beyond = REACH * (high - low)
    return axis_limits.around(
        np.array([min(low, max(widest[0], low - beyond)), max(high, min(widest[1], high + beyond))])
    )


def is_published_setting(runs: Runs) -> bool:
    """Whether the published windows apply."""
    return small_print.is_published_setting(runs.values())


def head(axes: Axes, surrogate: Surrogate, data: dict[str, Array], outside: int) -> None:
    """The panel's title and, computed from the run, its bias and root mean squared error.

    `outside` counts the points that the panel's window leaves out; a count above 0 is written.
    """
    error = data[surrogate.array] - data["true"]
    bias, rmse = float(np.mean(error)), float(np.sqrt(np.mean(error**2)))
    words = f"bias {bias:+.3f}, RMSE {rmse:.3f}".replace("-", "\N{MINUS SIGN}")
    if outside:
        words += f", {outside} not shown"
    axes.set_title(surrogate.title, pad=5.0 + 1.3 * style.SMALL)
    axes.annotate(words, (0.5, 1.0), (0.0, 3.5), "axes fraction", "offset points", ha="center", va="bottom",
                  fontsize=style.SMALL, color=style.GREY)  # fmt: skip
