"""Panels of the validation loss along each hyperparameter's axis through λ̂, from a run's axes.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import Span
from bokeh.plotting import figure

from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.pages.page import GREEN, GREY, few_ticks, panel, read_off
from hyperopt_hn.runs.reader import Run

FILE = "axes.json"
"""`SelfTuner.response_axes(out=result.path)` writes it."""


Axis = tuple[np.ndarray, np.ndarray, float]
"""Natural values (P,), the response's validation losses there (P,), and λ̂'s value."""


def read_axes(run: Run) -> dict[str, Axis]:
    """The axis of each hyperparameter by name; empty without the file.

    Raises UserError for a file that holds something else.
    """
    file = run.path / FILE
    if not file.is_file():
        return {}
    try:
        found = as_arrays(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{file} cannot be read; write it again with response_axes(out=...), or delete it") from None
    if any(values.ndim != 1 or values.shape != losses.shape or len(values) < 2 for values, losses, _ in found.values()):
        raise UserError(f"{file} holds no curves; write it again with response_axes(out=...), or delete it")
    return found


def as_arrays(told: Mapping[str, Any]) -> dict[str, Axis]:
    """What `response_axes` says: name -> "values", "valid_loss", "here". Raises ValueError, TypeError, KeyError."""
    return {
        str(name): (np.array(axis["values"], float), np.array(axis["valid_loss"], float), float(axis["here"]))
        for name, axis in told.items()
    }


def axis_panel(name: str, values: np.ndarray, losses: np.ndarray, here: float, width: int) -> figure:
    """One curve, λ̂ a grey line."""
    plot = panel(f"response along {name}", name, "valid_loss", x_range=(float(values.min()), float(values.max())))
    plot.width = width
    few_ticks(plot, 210)
    read_off(plot, plot.line(values, losses, color=GREEN, line_width=2), name, "valid_loss")
    plot.add_layout(Span(location=here, dimension="height", line_color=GREY, line_dash="dashed"))
    return plot
