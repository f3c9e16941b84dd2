"""The page of the loss manifold: a point moves on it with λ, and the linear response with the λ̂ at which it touches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import ColorBar, ColumnDataSource, LinearColorMapper, Range1d, Slider
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from hyperopt_hn.runs.pages.page import (
    BLUE,
    RED,
    WIDTH,
    heading,
    legend_below,
    panel,
    script,
    table_source,
    words,
    write,
)
from hyperopt_hn.runs.reader import Run
from toy import manifold

TITLE = "loss-manifold: exact and linear best response"
TEXT = (
    "A problem with one weight w and one hyperparameter λ. The exact response w*(λ) follows the valley of the training "
    "loss; the linear one touches it at λ̂ and leaves it elsewhere. Tuning λ moves along a response to where the "
    "validation loss is least: near λ̂ both are alike. Move λ and λ̂, with the mouse or with the arrow keys."
)


def build(run: Run, path: Path) -> Path:
    """Write the page of a finished `loss-manifold` run."""
    arrays = run.arrays
    lam, w = arrays["lam"], arrays["w"]
    sliders = [
        Slider(start=-3.14, end=3.14, step=0.01, value=value, title=title, name=name, width=WIDTH // 2 - 20)
        for title, name, value in (("λ", "lambda", 1.0), ("λ̂, where the linear response touches", "hat", 0.0))
    ]
    lams = np.linspace(lam[0], lam[-1], 201)
    empty = np.zeros_like(lams)
    sources = {
        "line": ColumnDataSource({"lam": lams, "w": empty, "train": empty, "valid": empty}, name="line"),
        "points": ColumnDataSource({"lam": [0.0] * 2, "w": [0.0] * 2, "train": [0.0] * 2, "valid": [0.0] * 2,
                                    "colour": [BLUE, RED]}),
        "tangent": ColumnDataSource({"lam": [0.0], "w": [0.0]}),
        "numbers": table_source("what", "w", "train", "valid"),
    }  # fmt: skip
    table = words("", "table", WIDTH // 2)
    move = script(__file__, lam=sliders[0], hat=sliders[1], table=table, **sources)
    for slider in sliders:
        slider.js_on_change("value", move)
    surface = _surface(lam, w, arrays["train"])
    panels = [
        surface,
        *(_losses(split, word, lams) for split, word in (("train", "Training"), ("valid", "Validation"))),
    ]
    for plot, height in zip(panels, ("w", "train", "valid"), strict=True):
        plot.line("lam", height, source=sources["line"], color=RED, line_width=2, line_dash="dashed",
                  legend_label="linear response")  # fmt: skip
        plot.scatter("lam", height, source=sources["points"], size=11, color="colour", line_color="white")
        legend_below(plot)
    surface.scatter("lam", "w", source=sources["tangent"], marker="star", size=16, color=RED, line_color="white")
    layout = column(heading(TITLE, TEXT, run), row(*sliders), row(*panels[:2]), row(panels[2], table), width=WIDTH)
    return write(path, TITLE, layout, move)


def _surface(lam: np.ndarray, w: np.ndarray, loss: np.ndarray) -> figure:
    """The training loss as colours over λ and w, and the exact response on it."""
    plot = panel("Training loss", "λ", "w", x_range=Range1d(lam[0], lam[-1]), y_range=Range1d(w[0], w[-1]))
    colours = LinearColorMapper(palette=Viridis256, low=float(loss.min()), high=float(loss.max()))
    plot.image([loss.astype(np.float32)], x=lam[0], y=w[0], dw=lam[-1] - lam[0], dh=w[-1] - w[0], color_mapper=colours)
    plot.add_layout(ColorBar(color_mapper=colours, width=10), "right")
    plot.line(lam, manifold.best_response(lam), color="white", line_width=4)
    plot.line(lam, manifold.best_response(lam), color=BLUE, line_width=2, legend_label="exact response")
    return plot


def _losses(split: str, word: str, lam: np.ndarray) -> figure:
    """What the exact response costs at each λ."""
    w = manifold.best_response(lam)
    loss = manifold.train_loss(w, lam) if split == "train" else manifold.valid_loss(w)
    low, high = float(loss.min()), float(loss.max())
    margin = 0.25 * (high - low)
    plot = panel(f"{word} loss along each response", "λ", "loss", x_range=Range1d(lam[0], lam[-1]),
                 y_range=Range1d(low - margin, high + margin))  # fmt: skip
    plot.line(lam, loss, color=BLUE, line_width=2, legend_label="exact response")
    return plot
