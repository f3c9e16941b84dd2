"""Several seeds as one line: their mean and spread on a common axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from figures.kit.runs import Array

GRID = 400  # points at which several seeds are averaged where their records do not coincide

Series = tuple[Array, Array]
"""Where the records lie (T,), rising, and their values (T,)."""


@dataclass(frozen=True)
class Band:
    """A line: where (T,), and there the mean and the standard deviation over the seeds (T,); spread 0 for one seed."""

    at: Array
    mean: Array
    spread: Array


def held(series: Sequence[Series]) -> Band:
    """Between records the last one holds: best states so far, and what a search has found."""
    if _alike(series):
        return _band(series[0][0], [values for _, values in series])
    start = max(float(at[0]) for at, _ in series)
    end = max(start, min(float(at[-1]) for at, _ in series))
    grid = np.linspace(start, end, GRID)
    return _band(grid, [values[np.searchsorted(at, grid, side="right") - 1] for at, values in series])


def joined(series: Sequence[Series]) -> Band:
    """Between records a straight line: quantities that move all the time. It ends where the shortest seed ends."""
    if _alike(series):
        return _band(series[0][0], [values for _, values in series])
    start, end = max(float(at[0]) for at, _ in series), min(float(at[-1]) for at, _ in series)
    every = np.unique(np.concatenate([at for at, _ in series]))
    grid = every[(every >= start) & (every <= max(start, end))]
    return _band(grid, [np.interp(grid, at, values) for at, values in series])


def remark(counts: Iterable[int]) -> str:
    """How lines of so many seeds each are drawn; "" where every one is of a single seed."""
    fewest, most = min(held := list(counts)), max(held)
    if most == 1:
        return ""
    return f"mean of {most if fewest == most else f'{fewest} to {most}'} seeds; bands: ±1 standard deviation"


def _alike(series: Sequence[Series]) -> bool:
    return all(np.array_equal(at, series[0][0]) for at, _ in series)


def _band(at: Array, values: Sequence[Array]) -> Band:
    stacked = np.stack(list(values))
    spread = stacked.std(axis=0, ddof=1) if len(stacked) > 1 else np.zeros_like(stacked[0])
    return Band(at, stacked.mean(axis=0), spread)
