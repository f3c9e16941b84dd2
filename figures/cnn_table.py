"""cnn_table: losses and accuracies of every way to tune a CNN, each at its best state by validation.

MacKay et al. 2019, table 2 (the CIFAR-10 columns) stands beside it as recalled numbers.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import budget_lines, published, style, tables
from figures.kit.runs import Runs
from figures.kit.tables import Layout, Measure


def percent(share: float) -> float:
    """An accuracy between 0 and 1 in per cent."""
    return 100.0 * share


LAYOUT = Layout(
    "compare-cnn",
    {rival.arm: rival.label for rival in budget_lines.RIVALS},
    (
        Measure("valid_loss", ("Loss", "valid."), "valid_loss", 3),
        Measure("test_loss", ("Loss", "test"), "test_loss", 3),
        Measure("valid_accuracy_percent", ("Accuracy (%)", "valid."), "valid_accuracy", 1, percent, optional=True),
        Measure("test_accuracy_percent", ("Accuracy (%)", "test"), "test_accuracy", 1, percent, optional=True),
    ),
    published.CIFAR,
)
READS = budget_lines.reads(LAYOUT.experiment)
RUNS = tuple(READS)


@style.house()
def draw(runs: Runs, *others: Runs) -> Figure:
    """The arms that some root holds; `others` are further seeds."""
    return tables.draw(LAYOUT, (runs, *others))


def tell(runs: Runs, *others: Runs) -> str:
    """The same numbers as CSV."""
    return tables.tell(LAYOUT, (runs, *others))
