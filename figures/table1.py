"""table1: perplexities of LSTMs whose output dropout is fixed, noisy, tuned or replayed.

MacKay et al. 2019, table 1, is beside it as recalled numbers.
"""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from figures.kit import published, style, tables
from figures.kit.drawing import budget_lines
from figures.kit.runs import Runs
from figures.kit.tables import Layout, Measure

LAYOUT = Layout(
    "table1",
    {
        "fixed": "Fixed rate",
        "gaussian": "Fixed rate with Gaussian noise",
        "sinusoid": "Fixed rate with a sinusoid",
        "final": "Fixed at the STN's final rate",
        "stn": "STN",
        "replay": "LSTM with the STN's schedule",
    },
    (
        Measure("valid_perplexity", ("Perplexity", "valid."), "valid_loss", 2, math.exp),
        Measure("test_perplexity", ("Perplexity", "test"), "test_loss", 2, math.exp),
    ),
    published.OUTPUT_DROPOUT,
    constants={"fixed": "dropouto", "final": "dropouto"},
)
READS = {f"{LAYOUT.experiment}/{arm}": budget_lines.NEEDS for arm in LAYOUT.rows}
RUNS = tuple(READS)


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """The rows that some root holds; `others` are further seeds."""
    return tables.draw(LAYOUT, (runs, *others))


def as_csv(runs: Runs, *others: Runs) -> str:
    """The same numbers as CSV."""
    return tables.as_csv(LAYOUT, (runs, *others))
