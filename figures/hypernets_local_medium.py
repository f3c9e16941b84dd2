"""hypernets_local_medium: ten hyperparameters tuned by a local hypernetwork, by random search and by TPE, on one clock.

Lorraine & Duvenaud 2018 (arXiv version 1), appendix. A search's runtime holds the training of every trial. Every
line is the best state so far by validation loss, or that state's test loss, for the hypernetwork as for the searches.
Losses are Gaussian negative log likelihoods.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.drawing.loss_lines import ArmLine, Comparison, compare
from figures.kit.runs import Needs, Runs

COMPARISON = Comparison(
    arms=(
        ArmLine("local-medium/hypernet", "Hypernet", style.RED, "o", best=True),
        ArmLine("local-medium/random", "Random search", style.BLUE, "s", best=True),
        ArmLine("local-medium/tpe", "TPE", style.GREEN, "^", best=True),
    ),
    unit="loss",
    loss_label="Loss (negative log likelihood)",
    published_loss=(0.45, 0.9),
)
READS = {arm.run: Needs(columns=("valid_loss", "test_loss")) for arm in COMPARISON.arms}
RUNS = tuple(READS)


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """Validation and test loss of each method over seconds; `others` are the same runs at further seeds."""
    return compare(COMPARISON, READS, (runs, *others), [arm.label for arm in COMPARISON.arms])
