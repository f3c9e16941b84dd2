"""Several seeds as one line: their mean and spread on a common axis, how both are drawn and described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from figures.kit.runs import Array

GRID = 400  # points at which several seeds are averaged where their records do not coincide

Series = tuple[Array, Array]
"""Where the records are (T,), rising, and their values (T,)."""


@dataclass(frozen=True)
class Band:
    """A line: where (T,), and there the mean and the standard deviation over the seeds (T,); spread 0 for one seed."""

    at: Array
    mean: Array
    spread: Array


def stepwise(series: Sequence[Series]) -> Band:
    """Between records the last one holds: best states so far, and what a search has found."""
    if _alike(series):
        return _band(series[0][0], [values for _, values in series])
    start = max(float(at[0]) for at, _ in series)
    end = max(start, min(float(at[-1]) for at, _ in series))
    grid = np.linspace(start, end, GRID)
    return _band(grid, [values[np.searchsorted(at, grid, side="right") - 1] for at, values in series])


def interpolated(series: Sequence[Series]) -> Band:
    """Between records a straight line: quantities that move all the time. It ends where the shortest seed ends."""
    if _alike(series):
        return _band(series[0][0], [values for _, values in series])
    start, end = max(float(at[0]) for at, _ in series), min(float(at[-1]) for at, _ in series)
    every = np.unique(np.concatenate([at for at, _ in series]))
    grid = every[(every >= start) & (every <= max(start, end))]
    return _band(grid, [np.interp(grid, at, values) for at, values in series])


def draw(axes: Axes, band: Band, label: str, look: Mapping[str, Any], shade: float = 0.15) -> None:
    """The mean in this look (matplotlib's line properties), and a band of one standard deviation for several seeds."""
    axes.plot(band.at, band.mean, label=label, lw=1.2, **look)
    if np.any(band.spread > 0.0):
        step: Literal["post"] | None = "post" if look.get("drawstyle") == "steps-post" else None
        axes.fill_between(band.at, band.mean - band.spread, band.mean + band.spread, color=look["color"], alpha=shade,
                          lw=0.0, step=step)  # fmt: skip


def lines_remark(counts: Sequence[int], best: bool = False) -> str:
    """How lines of so many seeds each are made, and whether they are best states so far; "" for plain single runs."""
    words, (fewest, most) = ["best so far by validation"] if best else [], (min(counts), max(counts))
    if most > 1:
        seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
        words.append(f"mean of {seeds} seeds, bands ±1\N{NO-BREAK SPACE}sd")
    return f"Lines: {', '.join(words)}" if words else ""


def _alike(series: Sequence[Series]) -> bool:
    return all(np.array_equal(at, series[0][0]) for at, _ in series)


def _band(at: Array, values: Sequence[Array]) -> Band:
    stacked = np.stack(list(values))
    spread = stacked.std(axis=0, ddof=1) if len(stacked) > 1 else np.zeros_like(stacked[0])
    return Band(at, stacked.mean(axis=0), spread)
