"""cnn_table: losses and accuracies of every way to tune a CNN, each at its best state by validation.

MacKay et al. 2019, table 2 (the CIFAR-10 columns) is beside it as recalled numbers.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import published, style, tables
from figures.kit.drawing import budget_lines
from figures.kit.runs import Runs
from figures.kit.tables import Layout, Measure


def percent(share: float) -> float:
    """An accuracy between 0 and 1 in per cent."""
    return 100.0 * share


LAYOUT = Layout(
    "compare-cnn",
    {method.arm: method.label for method in budget_lines.METHODS},
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


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """The arms that some root holds; `others` are further seeds."""
    return tables.draw(LAYOUT, (runs, *others))


def as_csv(runs: Runs, *others: Runs) -> str:
    """The same numbers as CSV."""
    return tables.as_csv(LAYOUT, (runs, *others))
