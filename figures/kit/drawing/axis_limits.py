"""Axis limits chosen from what is drawn: the published window where it fits, else one that the data suggest."""

from __future__ import annotations

import numpy as np

from figures.kit.runs import Array

Window = tuple[float, float]


def around(values: Array, pad: float = 0.06) -> Window:
    """The range of `values`, widened on both sides by `pad` of it; never empty."""
    low, high = float(np.min(values)), float(np.max(values))
    margin = pad * (high - low) or 0.05 * max(abs(low), 1e-3)
    return low - margin, high + margin


def around_trusted(trusted: Array, others: Array, reach: float = 0.6) -> Window:
    """Holds all of `trusted`, and `others` as far as they stay within `reach` times the trusted range beyond it."""
    low, high = float(np.min(trusted)), float(np.max(trusted))
    span = (high - low) or max(abs(low), 1e-3)
    return around(np.append(trusted, np.clip(others, low - reach * span, high + reach * span)))


def widened(window: Window, values: Array) -> Window:
    """`window`, grown where `values` would fall outside it."""
    low, high = around(values)
    inside = window[0] <= float(np.min(values)) and float(np.max(values)) <= window[1]
    return window if inside else (min(low, window[0]), max(high, window[1]))
