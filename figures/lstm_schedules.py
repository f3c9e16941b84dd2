"""lstm_schedules: how a self-tuning LSTM's hyperparameters move while it trains.

MacKay et al. 2019, section 5.1: the dropout rates on one pair of axes; on the other alpha and beta, the weights of
activation regularisation (AR) and temporal activation regularisation (TAR).
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.drawing import schedule_lines
from figures.kit.drawing.schedule_lines import Panel
from figures.kit.runs import Runs

READS = {"compare-lstm/stn": schedule_lines.NEEDS, "lstm/network": schedule_lines.NEEDS}
RUNS = tuple(READS)
DROPOUTS = {
    "dropouto": "output",
    "dropouth": "hidden",
    "dropouti": "input",
    "dropoute": "embedding",
    "wdrop": "hidden to hidden",
}
PENALTIES = {"alpha": "α (AR)", "beta": "β (TAR)"}


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """Dropout rates, and alpha and beta, as far as the run recorded them; `others` are further seeds."""
    _, every = schedule_lines.source((runs, *others))
    names = schedule_lines.recorded(every)
    panels = [
        Panel("Dropout", "Rate", schedule_lines.labelled(names, DROPOUTS)),
        Panel("Activation regularisation", "Weight", schedule_lines.labelled(names, PENALTIES)),
    ]
    return schedule_lines.draw(panels, every)
