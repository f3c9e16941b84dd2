"""Constrained layout whose results are equal in every process.

Matplotlib's solver answers to within a rounding error that depends on addresses in memory: in about one process of
ten the places of the axes differed in their last digit, and with them a shade in a picture's thin lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

GRID = 2.0**-20
"""Places are multiples of this share of the figure, far below a pixel and far above a rounding error."""


class SteadyLayout(ConstrainedLayoutEngine):
    """Places axes as matplotlib's constrained layout does, on a grid of 2**-20 of the figure's width and height."""

    def execute(self, fig: Figure) -> Any:
        grids = super().execute(fig)
        for axes in fig.axes:
            taking_part = axes.get_in_layout()
            place = axes.get_position(original=True).get_points()
            axes.set_position(Bbox(np.round(place / GRID) * GRID))
            axes.set_in_layout(taking_part)  # set_position takes it out
        return grids
