"""The page of a small hypernetwork: a slider for λ moves its weights, their losses, and the exact best response."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import ColorBar, ColumnDataSource, CustomJS, LinearColorMapper, Range1d, Slider, Span, UIElement
from bokeh.palettes import RdBu11, interp_palette
from bokeh.plotting import figure

from hyperopt_hn.runs.pages.page import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
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
from toy.explore.small_network import SPLITS, Curve, SmallNetwork
from toy.truth.crossval import lowest

STEP = 0.01  # of the slider
CURVE_POINTS, COURSE_POINTS = 301, 2000
ROWS = ("hypernetwork w_φ(λ)", "exact response w*(λ)", "difference")
HOW = (
    "Move λ, the logarithm of the weight decay: with the mouse, or with the arrow keys when the slider has the focus. "
    "The hypernetwork gives weights at once; beside them are those that training would reach at that λ, which this "
    "problem has in closed form. Crosses: networks really trained. "
)
TEXT = {
    "linear": HOW + "This one was trained around λ̂ alone: it is right there, and its slope is right there, no further.",
    "nonlinear": HOW + "This one was trained over the whole range of λ.",
}


def build(network: SmallNetwork, ends: tuple[float, float], path: Path) -> Path:
    """Write the page for λ between `ends`, or as far as λ̂ is beyond them."""
    lam_hat = float(network.saved.lam[0])
    ends = min(ends[0], np.floor(lam_hat)), max(ends[1], np.ceil(lam_hat))
    axis = np.linspace(*ends, round((ends[1] - ends[0]) / STEP) + 1)
    slider = Slider(start=float(axis[0]), end=float(axis[-1]), step=STEP, value=_on_step(network, axis),
                    title="λ", width=WIDTH // 2, name="lambda")  # fmt: skip
    images, pictures = _pictures(network, axis)
    losses, points, here = _losses(network, axis)
    numbers, table = table_source("what", *SPLITS, "norm"), words("", "table")
    move = script(__file__, net=_numbers(network, axis), slider=slider, images=images, points=points,
                  here=here, numbers=numbers, table=table)  # fmt: skip
    slider.js_on_change("value", move)
    run = network.saved.run
    name = f"{run.config.get('experiment')}: {_kind(network)} hypernetwork"
    course: list[UIElement] = _course(network, slider, axis)
    layout = column(
        heading(name, TEXT[_kind(network)], run), slider, row(losses, column(*course)), table, pictures, width=WIDTH
    )
    return write(path, name, layout, move)


def _kind(network: SmallNetwork) -> str:
    return "linear" if network.layer() is None else "nonlinear"


def _on_step(network: SmallNetwork, axis: np.ndarray) -> float:
    """λ̂ on the slider's grid."""
    return float(axis[np.argmin(np.abs(axis - network.saved.lam[0]))])


def _numbers(network: SmallNetwork, axis: np.ndarray) -> dict[str, Any]:
    """What the script computes with; the shapes are those of `small_network`."""
    turn, rows = network.directions(axis)
    layer, exact = network.layer(), network.exact_response
    return {
        "hidden": None if layer is None else {"weight": layer[0], "bias": layer[1]},
        "learned": _family(network.learned),
        "exact": {**_family(network.exact), "values": exact.values, "lengths": exact.lengths, "scale": exact.scale,
                  "inputs": exact.inputs.ravel(), "outputs": exact.outputs.ravel()},
        "between": (network.learned.basis @ network.exact.basis.T).ravel(),
        "look": {"turn": turn.ravel(), "rows": rows.ravel(), "count": len(rows)},
        "classes": network.problem.sizes[-1],
        "side": network.image_side(),
    }  # fmt: skip


def _family(curve: Curve) -> dict[str, Any]:
    splits = {
        split: {"gram": gram.gram.ravel(), "cross": gram.cross, "total": gram.total, "terms": gram.terms}
        for split, gram in curve.grams.items()
    }
    return {"splits": splits, "inner": curve.inner.ravel()}


def _losses(network: SmallNetwork, axis: np.ndarray) -> tuple[figure, ColumnDataSource, Span]:
    """The losses over λ of both responses, networks really trained as crosses, and the points at λ."""
    lam = np.linspace(axis[0], axis[-1], CURVE_POINTS)
    learned = network.learned.losses(network.learned_coefficients(lam), lam)
    exact = network.exact.losses(network.exact_coefficients(lam), lam)
    inside = np.concatenate([exact["train"], exact["valid"]])
    low, high = float(inside.min()), float(inside.max())
    margin = 0.15 * (high - low)
    plot = panel("Losses over λ", "λ", "loss (Gaussian NLL)", x_range=Range1d(axis[0], axis[-1]),
                 y_range=Range1d(low - margin, high + margin))  # fmt: skip
    for split, colour, word in (("train", BLUE, "training"), ("valid", RED, "validation")):
        plot.line(lam, learned[split], color=colour, line_width=2, legend_label=f"{word}, hypernetwork")
        plot.line(lam, exact[split], color=colour, line_dash="dashed", legend_label=f"{word}, exact response")
    for losses, colour, at in _crosses(network.saved.run):
        plot.scatter(at, losses, marker="x", size=8, color=colour, line_width=1.5)
    here = Span(location=float(network.saved.lam[0]), dimension="height", line_color=GREY)
    plot.add_layout(here)
    points = ColumnDataSource(
        {"lam": [0.0] * 4, "loss": [low] * 4, "colour": [BLUE, RED] * 2, "face": [BLUE, RED, "white", "white"]}
    )
    plot.scatter("lam", "loss", source=points, size=9, line_color="colour", fill_color="face", line_width=2)
    legend_below(plot)
    return plot, points, here


def _crosses(run: Run) -> list[tuple[np.ndarray, str, np.ndarray]]:
    """Losses of networks trained to convergence, of the `crossval` run beside this one; none where there is none."""
    truth = run.path.resolve().parents[1] / "crossval" / "truth"
    if not (truth / "result.json").exists():
        return []
    arrays = Run(truth).arrays
    return [
        (arrays[f"cross_{split}"], colour, arrays["cross_lambda"])
        for split, colour in (("train", BLUE), ("valid", RED))
    ]


def _pictures(network: SmallNetwork, axis: np.ndarray) -> tuple[ColumnDataSource, figure]:
    """Three rows of one picture a class: the weights of the hypernetwork, of the exact response, their difference."""
    classes, side = network.problem.sizes[-1], network.image_side()
    source = ColumnDataSource({
        "image": [np.zeros((side, side)) for _ in range(len(ROWS) * classes)],
        "x": [float(c) for _ in ROWS for c in range(classes)],
        "y": [float(len(ROWS) - 1 - r) for r in range(len(ROWS)) for _ in range(classes)],
    }, name="images")  # fmt: skip
    most = float(np.abs(network.exact_coefficients(axis[::20]) @ network.exact.basis).max())
    colours = LinearColorMapper(palette=interp_palette(RdBu11, 255), low=-most, high=most)
    plot = figure(title="Weights of the ten classes", width=WIDTH, height=370, tools="reset,wheel_zoom,pan",
                  x_range=Range1d(-0.1, classes + 0.02), y_range=Range1d(-0.05, len(ROWS)))  # fmt: skip
    plot.toolbar.logo = None
    plot.image("image", x="x", y="y", dw=0.94, dh=0.94, source=source, color_mapper=colours)
    plot.xaxis.ticker, plot.yaxis.ticker = [c + 0.47 for c in range(classes)], [r + 0.47 for r in range(len(ROWS))]
    plot.xaxis.major_label_overrides = {c + 0.47: str(c) for c in range(classes)}
    plot.yaxis.major_label_overrides = {len(ROWS) - 1 - r + 0.47: word for r, word in enumerate(ROWS)}
    plot.grid.visible = False
    plot.add_layout(ColorBar(color_mapper=colours, width=10), "right")
    return source, plot


def _course(network: SmallNetwork, slider: Slider, axis: np.ndarray) -> list[UIElement]:
    """λ̂ over tuning, and a slider for the time, which takes λ along."""
    arrays = network.saved.run.arrays
    path = arrays["tuned_path"] if "tuned_path" in arrays else arrays["path"]
    path = path[np.unique(np.linspace(0, len(path) - 1, min(len(path), COURSE_POINTS)).round().astype(int))]
    fine = {"lambda": axis, **network.exact.losses(network.exact_coefficients(axis), axis)}
    best = float(lowest(fine)["lambda"])
    plot = panel("Course of λ̂", "tuning steps", "λ̂")
    plot.height -= 50
    plot.line(path[:, 0], path[:, 1], color=GREEN, line_width=2, legend_label="λ̂")
    plot.line([path[0, 0], path[-1, 0]], [best, best], color=BLACK, line_dash="dashed",
              legend_label=f"best λ of the exact response: {best:.3f}")  # fmt: skip
    now = ColumnDataSource({"step": [float(path[-1, 0])], "lam": [float(path[-1, 1])]}, name="now")
    plot.scatter("step", "lam", source=now, size=10, color=GREEN, line_color="white")
    legend_below(plot)
    time = Slider(start=0, end=len(path) - 1, step=1, value=len(path) - 1, title="time (λ follows λ̂)", name="time",
                  show_value=False, width=WIDTH // 2 - 20)  # fmt: skip
    follow = """
    now.data = { step: [steps[time.value]], lam: [lams[time.value]] }
    slider.value = Math.min(Math.max(lams[time.value], slider.start), slider.end)
    """
    time.js_on_change(
        "value",
        CustomJS(
            args={"now": now, "time": time, "slider": slider, "steps": path[:, 0], "lams": path[:, 1]}, code=follow
        ),
    )
    return [plot, time]
