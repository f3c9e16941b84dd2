"""hypernets_local_large: one hyperparameter for every weight, tuned by a local hypernetwork and by its rivals.

Lorraine & Duvenaud 2018, section 4.3. Rivals: unrolled reverse-mode differentiation (drawn when its run exists) and
random search, whose lines are the best trial so far by validation loss and that trial's test loss. A rival's
runtime holds all its inner training. Losses are mean squared errors.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures import style
from figures.reading import Needs, Runs
from figures.trajectories import Arm, Comparison, compare

COMPARISON = Comparison(
    arms=(
        Arm("local-large/hypernet", "Hypernet", style.RED, "o"),
        Arm("local-large/random", "Random search", style.BLUE, "s", search=True),
        Arm("local-large/unrolled", "Unrolled", style.GREEN, "D"),
    ),
    unit="mse",
    loss_label="Mean squared error",
    published_loss=(0.038, 0.044),
)
READS = {arm.run: Needs(columns=("valid_loss", "valid_mse", "test_mse")) for arm in COMPARISON.arms}
OPTIONAL = ("local-large/unrolled",)
RUNS = tuple(name for name in READS if name not in OPTIONAL)


@style.house()
def draw(runs: Runs, *others: Runs) -> Figure:
    """Validation and test loss of each method over seconds; `others` are the same runs at further seeds."""
    return compare(COMPARISON, READS, (runs, *others), [arm.label for arm in COMPARISON.arms])
