"""The layout stays matplotlib's, on a grid that no rounding error crosses."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from figures.kit.steady_layout import GRID, SteadyLayout


def places(engine: ConstrainedLayoutEngine, words: str = "loss") -> np.ndarray:
    fig = Figure(figsize=(5.0, 2.3), layout=engine)
    FigureCanvasAgg(fig)
    left, right = fig.subplots(1, 2)
    left.set_ylabel(words)
    twin = left.twinx()
    twin.set_ylabel("rate")
    right.set_aspect("equal")
    fig.colorbar(right.imshow(np.eye(3)), ax=right)
    fig.draw_without_rendering()
    left.set_title("a title that comes after the first drawing\nand takes two lines")
    fig.draw_without_rendering()
    return np.array([axes.get_position(original=True).bounds for axes in fig.axes])


def test_places_are_matplotlibs_to_the_grid():
    steady, theirs = places(SteadyLayout()), places(ConstrainedLayoutEngine())
    assert steady.shape == (4, 4)
    np.testing.assert_allclose(steady, theirs, atol=2 * GRID, rtol=0)
    np.testing.assert_allclose(steady / GRID, np.round(steady / GRID), atol=1e-6, rtol=0)


def test_axes_go_on_taking_part():
    assert places(SteadyLayout(), "two\nlines\nof words")[0, 0] > places(SteadyLayout())[0, 0] + 0.01
