"""lambda_in_lockstep: an STN's dropout rates rise and fall together; where the response's input is centred they do not.

The same language model (PTB, quick preset), start values and seed; each panel is a way of self-tuning, each line one of
five dropout rates. The number is the mean correlation of the raw increments of all pairs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.steady_layout import SteadyLayout
from figures.study.study_records import lines_of, lockstep

LOGS = {
    "STN": "quick-ptb-seed7/compare-lstm/stn/log.jsonl",
    "STN, centred input": "study/ptb-quick-stn-centred-seed7.jsonl",
    "Δ-STN": "study/ptb-quick-delta-seed7.jsonl",
    "split": "study/ptb-quick-split-seed7.jsonl",
}
LOOKS = {
    "dropouto": ("output", style.BLUE, "-"), "dropouti": ("input", style.GREEN, style.DASHDOT),
    "dropouth": ("hidden", style.RED, style.DASHED), "dropoute": ("embedding", style.PURPLE, style.DOTTED),
    "wdrop": ("hidden to hidden", style.BLACK, (0, (8.0, 2.0))),
}  # fmt: skip
NEEDED = ("STN", "split")


def has_records(root: Path) -> bool:
    """Whether the logs are there that make the difference; the others are drawn where they are."""
    return all((root / LOGS[way]).is_file() for way in NEEDED)


def rates(log: Path) -> tuple[list[int], np.ndarray]:
    """Train steps (T,) and the rates there (T, 5) of a log."""
    lines = [r for r in lines_of(log) if "hypers" in r]
    return [r["train_steps"] for r in lines], np.array([[r["hypers"][name] for name in LOOKS] for r in lines])


def together(values: np.ndarray) -> float:
    """The mean correlation of the increments of raw λ, the logits of these rates between 0 and 1."""
    return lockstep(np.log(values / (1.0 - values)).tolist())


@style.styled()
def draw(root: Path) -> Figure:
    """One panel a way, on one axis of rates."""
    height = 2.2
    fig = Figure(figsize=(style.PAGE, height), layout=SteadyLayout(rect=(0.0, 0.3 / height, 1.0, 1 - 0.3 / height)))
    logs = {way: log for way, log in LOGS.items() if (root / log).is_file()}
    panels = fig.subplots(1, len(logs), sharey=True)
    for axes, (way, log) in zip(panels, logs.items(), strict=True):
        steps, values = rates(root / log)
        for column, (word, colour, dashes) in enumerate(LOOKS.values()):
            axes.plot(steps, values[:, column], color=colour, linestyle=dashes, lw=1.1, label=word)
        number = f"{together(values):+.2f}".replace("-", "\N{MINUS SIGN}")
        axes.set_title(f"{way}\n{number}")
        axes.set_ylim(0.0, 1.0)
        axes.set_xlim(0, max(steps))
        axes.set_xlabel("Train steps")
        axes.set_xticks([0, 1000, 2000, 3000], ["0", "1k", "2k", "3k"])
    panels[0].set_ylabel("Dropout rate")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(LOOKS))
    words = (
        "Signed numbers: mean correlation of the increments of raw λ over all pairs of the five rates · "
        "PTB, preset quick, seed 7\nLogs: " + ", ".join(log.removesuffix(".jsonl") for log in logs.values())
    )
    fig.text(0.5, 0.02 / height, words, ha="center", va="bottom", fontsize=style.FOOTER, color=style.GREY,
             parse_math=False, in_layout=False)  # fmt: skip
    fig.set_label(words.replace("\n", " "))
    return fig
