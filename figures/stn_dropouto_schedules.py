"""stn_dropouto_schedules: the output dropout rate of self-tuning LSTMs that start from five different rates.

MacKay et al. 2019, section 5.1. Whether the five come together is for the eye: nothing is drawn but the runs.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from figures.kit import small_print, style
from figures.kit.drawing import schedule_lines
from figures.kit.drawing.schedule_lines import Line
from figures.kit.runs import Runs, check_seeds
from figures.kit.seeds import lines_remark

HYPER = "dropouto"
READS = {f"table1/{arm}": schedule_lines.NEEDS for arm in ("stn", "init30", "init50", "init70", "init90")}
RUNS = tuple(READS)


@style.styled()
def draw(runs: Runs, *others: Runs) -> Figure:
    """The rate over iterations, a line for each start that some root holds; `others` are further seeds."""
    roots = (runs, *others)
    check_seeds(RUNS, roots)
    found = {name: [one[name] for one in roots if name in one] for name in RUNS}
    used = [run for every in found.values() for run in every]
    fig = small_print.page(used, style.COLUMN, 2.75, lines_remark([len(every) for every in found.values() if every]))
    axes = fig.add_subplot()
    for name, (colour, dash) in zip(RUNS, schedule_lines.LINES, strict=True):
        if found[name]:
            band = schedule_lines.course(found[name], HYPER)
            schedule_lines.plot(axes, band, Line(HYPER, f"Init={float(band.mean[0]):.2g}", colour, dash))
    axes.set_xlim(left=0.0)
    axes.set_ylim(0.0, 1.0)
    schedule_lines.count_thousands(axes)
    axes.set_xlabel("Iteration")
    axes.set_ylabel("Output Dropout Rate")
    style.legend_above(fig, axes, 3)
    return fig
