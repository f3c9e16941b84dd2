"""What a figure was drawn from, written under it: runs, data set, preset, seeds, commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from figures.kit import style
from figures.kit.roots import ROOT_NAME, shared_settings
from figures.kit.steady_layout import SteadyLayout
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import Run

PROPER = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar10-jpeg": "CIFAR-10 JPEG copy",
    "cifar100": "CIFAR-100",
    "ptb": "PTB",
}
PUBLISHED_DATA = "mnist"  # what the hypernetwork paper used; the published axis limits are for it
KNOWN_DATA = ("mnist", "cifar10", "ptb")  # what the papers used; any other is a substitute that the figure explains
LEADING = 1.3  # line height of the small print, in units of its size
MARGIN = 0.06  # inches, left and right of the small print
BETWEEN = "\N{NO-BREAK SPACE}\N{MIDDLE DOT} "  # sentences; a line does not begin with the dot


def data_name(run: Run) -> str:
    """The data set's name in a run's config, "" where the run used none (a closed form)."""
    name = _data(run).get("name")
    return "" if name in (None, "none") else str(name)


def run_name(run: Run) -> str:
    """The run's name, experiment/arm, as its config says it."""
    return f"{run.config.get('experiment')}/{run.config.get('arm')}"


def preset(run: Run) -> str:
    """The run's preset, followed by the settings that its root's folder name says were changed."""
    match = ROOT_NAME.fullmatch(run.path.resolve().parent.parent.name)
    return str(run.config.get("preset")) + ((match["changed"] or "") if match else "")


def is_published_setting(runs: Iterable[Run]) -> bool:
    """Whether the published axis limits apply: every run is of the `paper` preset, on MNIST where it has data."""
    return all(preset(run) == "paper" and data_name(run) in (PUBLISHED_DATA, "") for run in runs)


def sentence(runs: Sequence[Run]) -> str:
    """One line naming the data set, preset, seeds and commit of the runs."""
    data = [PROPER.get(name, name) for name in _distinct(data_name(run) for run in runs)]
    seeds = [int(seed) for seed in _distinct(str(run.config.get("seed")) for run in runs) if seed.lstrip("-").isdigit()]
    parts = [
        " and ".join(name for name in data if name) or "closed form",
        "preset " + " and ".join(_distinct(preset(run) for run in runs)),
        ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in sorted(seeds)),
        "commit " + _commits(runs),
    ]
    return ", ".join(parts)


def sentences(runs: Sequence[Run], *remarks: str) -> list[str]:
    """The sentences under a figure: `remarks` on the drawing, the runs, their settings, a note on substitute data."""
    arms: dict[str, list[str]] = {}
    for name in _distinct(run_name(run) for run in runs):
        arms.setdefault(name.split("/")[0], []).append(name.split("/", 1)[1])
    names = "Runs: " + ", ".join(f"{experiment} ({', '.join(names)})" for experiment, names in arms.items())
    notes = _distinct(str(_data(run).get("note") or "") for run in runs if data_name(run) not in ("", *KNOWN_DATA))
    return [*(remark for remark in remarks if remark), names, sentence(runs), *(note for note in notes if note)]


def page(runs: Sequence[Run], width: float, height: float, *remarks: str) -> Figure:
    """A signed, empty figure: `height` inches for the picture, and below it the small print on its own strip.

    Raises UserError when the runs do not belong together (another data set or preset), since one picture of both
    would compare what cannot be compared.
    """
    check_kin(runs)
    texts = sentences(runs, *remarks)
    lines = _filled(BETWEEN.join(texts), 72.0 * (width - 2.0 * MARGIN))
    strip = (len(lines) * LEADING + 1.1) * style.FOOTER / 72.0
    total = height + strip
    layout = SteadyLayout(rect=(0.0, strip / total, 1.0, 1.0 - strip / total))
    fig = Figure(figsize=(width, total), layout=layout)
    fig.text(
        0.5, 0.3 * style.FOOTER / 72.0 / total, "\n".join(lines), ha="center", va="bottom",
        fontsize=style.FOOTER, color=style.GREY, linespacing=LEADING, parse_math=False, in_layout=False,
    )  # fmt: skip
    fig.set_label(" | ".join(texts))
    return fig


def _filled(text: str, width: float) -> list[str]:
    """The text of the small print in lines of at most `width` points, as even as the fewest lines can be."""
    words = text.split(" ")
    widths = [points(word) for word in words]
    fewest = _breaks(widths, width)
    low, high = width / 2.0, width
    while high - low > 1.0:  # the narrowest column that needs no line more
        middle = (low + high) / 2.0
        low, high = (low, middle) if len(_breaks(widths, middle)) == len(fewest) else (middle, high)
    starts = _breaks(widths, high)
    return [" ".join(words[start:stop]) for start, stop in zip(starts, [*starts[1:], len(words)], strict=True)]


def _breaks(widths: Sequence[float], width: float) -> list[int]:
    """Which words begin a line."""
    starts, used, space = [0], 0.0, points(" ")
    for index, word in enumerate(widths):
        if index and used + space + word > width:
            starts.append(index)
            used = word
        else:
            used += word + (space if index else 0.0)
    return starts


def points(text: str) -> float:
    """The width of a text in the size of the small print."""
    font = FontProperties(family=style.SETTINGS["font.family"], size=style.FOOTER)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def picture_floor(fig: Figure) -> float:
    """The height, as a fraction of the figure, where the small print ends and the picture begins."""
    layout = fig.get_layout_engine()
    return 0.0 if layout is None else float(layout.get()["rect"][1])


def check_kin(runs: Sequence[Run]) -> None:
    """Raises UserError when runs of several presets or data sets would share one figure.

    Runs of one experiment need the same settings; runs of different ones those that mean the same in both.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(str(run.config.get("experiment")), []).append(run)
    for group in groups.values():
        _check_same("preset", group, preset)
    _check_same("preset", runs, lambda run: str(run.config.get("preset")) + shared_settings(preset(run)))
    _check_same("data set", runs, data_name)


def _check_same(what: str, runs: Sequence[Run], read: Callable[[Run], str]) -> None:
    values = {read(run): run_name(run) for run in reversed(runs) if read(run)}
    if len(values) > 1:
        found = ", ".join(f"{name} has {value}" for value, name in values.items())
        raise UserError(f"these runs do not belong on one figure, their {what} differs: {found}; run them alike")


def _data(run: Run) -> Mapping[str, Any]:
    data = run.config.get("data")
    return data if isinstance(data, Mapping) else {}


def _commits(runs: Sequence[Run]) -> str:
    """Short commits; "+changes" where any of the runs was made with files changed since."""
    notes: dict[str, str] = {}
    for run in runs:
        commit = str(run.config.get("commit") or "unknown")[:7]
        notes[commit] = "+changes" if run.config.get("dirty") else notes.get(commit, "")
    return ", ".join(commit + changes for commit, changes in notes.items())


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
