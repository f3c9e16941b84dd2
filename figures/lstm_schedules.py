"""lstm_schedules: how a self-tuning LSTM's hyperparameters move while it trains.

MacKay et al. 2019, section 5.1: the dropout rates on one pair of axes; on the other alpha and beta, the weights of
activation regularisation (AR) and temporal activation regularisation (TAR).
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures import schedules, style
from figures.reading import Runs
from figures.schedules import Panel

READS = {"compare-lstm/stn": schedules.NEEDS, "lstm/network": schedules.NEEDS}
RUNS = tuple(READS)
DROPOUTS = {
    "dropouto": "output",
    "dropouth": "hidden",
    "dropouti": "input",
    "dropoute": "embedding",
    "wdrop": "hidden to hidden",
}
PENALTIES = {"alpha": "α (AR)", "beta": "β (TAR)"}


@style.house()
def draw(runs: Runs, *others: Runs) -> Figure:
    """Dropout rates, and alpha and beta, as far as the run recorded them; `others` are further seeds."""
    _, every = schedules.source((runs, *others))
    names = schedules.recorded(every)
    panels = [
        Panel("Dropout", "Rate", schedules.told(names, DROPOUTS)),
        Panel("Activation regularisation", "Weight", schedules.told(names, PENALTIES)),
    ]
    return schedules.draw(panels, every)
