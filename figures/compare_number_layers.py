"""compare_number_layers: one hyperparameter for every weight, in networks of one, two and three layers.

Lorraine & Duvenaud 2018, section 4.4. Validation and test mean squared error of the hypernetwork's weights over
runtime; the deeper the network, the more hyperparameters there are to tune.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.drawing.loss_lines import ArmLine, Comparison, compare
from figures.kit.runs import Needs, Runs
from hyperopt_hn.runs.reader import Run

COMPARISON = Comparison(
    arms=(
        ArmLine("depth/linear", "linear", style.RED, "o"),
        ArmLine("depth/one-hidden", "one hidden layer", style.GREEN, "^"),
        ArmLine("depth/two-hidden", "two hidden layers", style.BLUE, "s"),
    ),
    unit="mse",
    loss_label="Mean squared error",
    published_loss=(0.01, 0.08),
)
READS = {arm.run: Needs(columns=("valid_mse", "test_mse")) for arm in COMPARISON.arms}
RUNS = tuple(READS)
LAYERS = "layers"  # array (layers + 1,) of sizes, inputs first; the figure does without it where a run has none


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """Validation and test error of each network over seconds; `others` are the same runs at further seeds."""
    names = [_sizes(runs[arm.run], arm.label) for arm in COMPARISON.arms]
    return compare(COMPARISON, READS, (runs, *others), names)


def _sizes(run: Run, otherwise: str) -> str:
    """The layers' sizes, such as 784-100-10, from the run's array "layers"; `otherwise` when it left none."""
    if LAYERS not in run.arrays:
        return otherwise
    return "-".join(str(int(size)) for size in np.atleast_1d(run.arrays[LAYERS]))
