"""lstm_loss_over_time: the best validation perplexity so far of every way to tune an LSTM, under one budget.

MacKay et al. 2019, section 5.1 (the figure with grid search, random search, Bayesian optimization and STN).
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.drawing import budget_lines
from figures.kit.runs import Runs

EXPERIMENT = "compare-lstm"
READS = budget_lines.reads(EXPERIMENT)
RUNS = tuple(READS)


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """The arms that some root holds; `others` are further seeds."""
    return budget_lines.draw(EXPERIMENT, (runs, *others), "Validation perplexity, best so far", np.exp)
