"""cost_against_quality: what the ways of self-tuning cost and bring, and how they stand against searches.

Above: five small tasks, excess validation loss retrained at λ̂ over a retrained grid, against processor seconds of a
run. Below: excess of the best network so far at equal processor time, for self-tuning and searches, on
three tasks of two hyperparameters and on five of four to eight.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.steady_layout import SteadyLayout
from figures.study.study_records import at_each_budget, over_the_grid

SEEDS = ("five-tasks-seeds-401-405.jsonl", "five-tasks-seeds-501-505.jsonl")
COST = {
    "cost-seeds-601-603.jsonl": "two hyperparameters",
    "cost-many-seeds-611-613.jsonl": "four to eight hyperparameters",
}
WORDS = {
    "default": "split", "delta": "Δ-STN", "stn-published": "STN", "default-narrow": "split, narrow",
    "default-wide-3e-3": "split, wide", "default-4-4": "split, every 4th", "default-half": "split, half batch",
}  # fmt: skip
"""Way -> its words. Narrow: a decay's spread is a decade from the start; wide: it spans the range;
every 4th: of the training steps is followed by one of the response; half batch: the response sees half of each."""
ARMS = {
    "fixed": ("start values", style.BLACK, "X", style.DOTTED),
    "pbt": ("population-based", style.BLUE, "h", style.DASHED),
    "hand": ("hand-set constants", style.BLACK, "o", style.DASHED), "random": ("random search", style.BLUE, "s", "-"),
    "tpe": ("TPE", style.GREEN, "^", "-"), "split": ("split", style.RED, "D", "-"),
    "stn": ("STN", style.PURPLE, "v", style.DASHDOT), "delta": ("Δ-STN", style.GREY, "P", style.DOTTED),
}  # fmt: skip
"""Arms that are drawn; the paper's table has all."""


def has_records(root: Path) -> bool:
    """Whether all that is drawn is in this folder's study/."""
    return all((root / "study" / name).is_file() for name in (*SEEDS, *COST))


@style.styled()
def draw(root: Path) -> Figure:
    """All panels from root/study/."""
    height = 5.0
    fig = Figure(figsize=(style.PAGE, height), layout=SteadyLayout(rect=(0.0, 0.5 / height, 1.0, 1 - 0.5 / height)))
    above, *others = fig.subplot_mosaic([["ways", "ways"], ["few", "many"]]).values()
    _ways(above, root / "study")
    for axes, name in zip(others, COST, strict=True):
        _budgets(axes, root / "study" / name)
        axes.set_title(COST[name])
    others[0].set_ylabel("Validation loss above\nthe lowest of any arm")
    fig.legend(*others[0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
    words = (
        "Above: mean over tasks and seeds ± standard error; filled: the first of these records, hollow: the second\n"
        "Below: a line begins where each of its runs has a network\n"
        f"Records in study/: {', '.join((*SEEDS, *COST))}"
    )
    fig.text(0.5, 0.02 / height, words, ha="center", va="bottom", fontsize=style.FOOTER, color=style.GREY,
             parse_math=False, in_layout=False)  # fmt: skip
    fig.set_label(words.replace("\n", " "))
    return fig


def _ways(axes: Axes, folder: Path) -> None:
    points: list[tuple[float, float, str, bool]] = []
    for name, hollow in zip(SEEDS, (False, True), strict=True):
        for way, runs in over_the_grid(folder / name).items():
            excess, seconds = np.array([run[2] for run in runs]), np.array([run[4] for run in runs])
            colour = {"delta": style.GREY, "stn-published": style.PURPLE}.get(way, style.RED)
            at, mean = float(seconds.mean()), float(excess.mean())
            axes.errorbar(at, mean, excess.std(ddof=1) / math.sqrt(len(excess)), fmt="o", color=colour, lw=1.0,
                          mfc="white" if hollow else colour)  # fmt: skip
            points.append((at, mean, WORDS.get(way, way), hollow))
    low, high = axes.get_ylim()
    last = {True: low, False: low}
    for at, mean, word, late in sorted(points, key=lambda point: point[1]):
        side = word.endswith(("4th", "batch", "wide")) or (at > 10.0 and not late)  # left of its point
        y = max(mean, last[side] + 0.09 * (high - low)) if at < 10.0 else mean
        if at < 10.0:
            last[side] = y
        axes.annotate(word, (at, mean), (at + (-0.4 if side else 0.4), y), fontsize=style.SMALL, va="center",
                      ha="right" if side else "left")  # fmt: skip
    axes.axhline(0.0, color=style.GREY, lw=0.8, linestyle=style.DOTTED, zorder=0)
    axes.set_xlim(0.0, 1.25 * max(at for at, *_ in points))
    axes.set_xlabel("Processor seconds of a run")
    axes.set_ylabel("Validation loss above\nthe retrained grid's best")


def _budgets(axes: Axes, record: Path) -> None:
    budgets, arms = at_each_budget(record, 1)
    for arm, (word, colour, marker, dashes) in ARMS.items():
        pairs = [(b, float(np.mean(v))) for b, v in zip(budgets, arms.get(arm, []), strict=False) if v is not None]
        if pairs:
            axes.plot(*zip(*pairs, strict=True), marker=marker, color=colour, linestyle=dashes, label=word)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    ticks = [tick for tick in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("Budget (plain trainings)")
