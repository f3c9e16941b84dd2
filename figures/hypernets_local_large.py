"""hypernets_local_large: one hyperparameter for every weight, tuned by a local hypernetwork and by other methods.

Lorraine & Duvenaud 2018, section 4.3. Others: unrolled reverse-mode differentiation (drawn when its run exists) and
random search; their runtime holds all inner training. Every line is the best state so far by validation loss, or
that state's test loss. Losses are mean squared errors.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.drawing.loss_lines import ArmLine, Comparison, compare
from figures.kit.runs import Needs, Runs

COMPARISON = Comparison(
    arms=(
        ArmLine("local-large/hypernet", "Hypernet", style.RED, "o", best=True),
        ArmLine("local-large/random", "Random search", style.BLUE, "s", best=True),
        ArmLine("local-large/unrolled", "Unrolled", style.GREEN, "D", best=True),
    ),
    unit="mse",
    loss_label="Mean squared error",
    published_loss=(0.038, 0.044),
)
READS = {arm.run: Needs(columns=("valid_loss", "valid_mse", "test_mse")) for arm in COMPARISON.arms}
OPTIONAL = ("local-large/unrolled",)
RUNS = tuple(name for name in READS if name not in OPTIONAL)


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """Validation and test loss of each method over seconds; `others` are the same runs at further seeds."""
    return compare(COMPARISON, READS, (runs, *others), [arm.label for arm in COMPARISON.arms])
