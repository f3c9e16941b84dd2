"""valid_loss_manifold: the validation loss that the exact and the linear best response reach, and where each is best.

Lorraine & Duvenaud 2018, figure 2 (right). The surface depends on the weight alone; tuning λ moves along a response.
The wall with the curves' shadows is one unit off the surface, so that the two do not cover each other.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from figures.kit import small_print, style
from figures.kit.drawing import wireframe
from figures.kit.runs import Needs, Runs, arrays

READS = {
    "loss-manifold/closed-form": Needs(
        arrays={
            "w": "W", "lam": "L", "valid": "W",
            "valid_best_lam": "B", "valid_best_w": "B", "valid_best_loss": "B",
            "valid_linear_lam": "V", "valid_linear_w": "V", "valid_linear_loss": "V",
            "optimum_best_lam": "", "optimum_best_w": "", "optimum_best_loss": "",
            "optimum_linear_lam": "", "optimum_linear_w": "", "optimum_linear_loss": "",
        }
    ),
}  # fmt: skip
RUNS = tuple(READS)
WALL_OFFSET = 1.0  # in units of w


@style.styled()
def draw(runs: Runs) -> Figure:
    """The validation surface, both responses, their shadows on the wall, and the minimum of each."""
    (name,) = RUNS
    data = arrays(runs[name], READS[name])
    fig = small_print.page([runs[name]], style.COLUMN, 3.35)
    surface = np.repeat(data["valid"][:, None], len(data["lam"]), axis=1)
    wall = float(data["w"].min()) - WALL_OFFSET
    axes = wireframe.stage(fig, data["w"], data["lam"], surface, wall=wall)
    top, right = float(data["valid"].max()), float(data["w"].max()) - WALL_OFFSET
    for kind, look, face, response in (
        ("best", wireframe.EXACT, style.BLUE, r"^*"),
        ("linear", wireframe.LINEAR, "white", r"_{\phi^*}"),
    ):
        lam, w, loss = (data[f"valid_{kind}_{what}"] for what in ("lam", "w", "loss"))
        at, w_at, lowest = (float(data[f"optimum_{kind}_{what}"]) for what in ("lam", "w", "loss"))
        dashes = {"color": look["color"], "linestyle": style.DASHED if kind == "best" else style.DOTTED, "lw": 1.2}
        axes.plot(w, lam, loss, zorder=6, label=rf"$\mathcal{{L}}(\mathrm{{w}}{response}(\lambda))$", **look)
        axes.plot(np.full_like(lam, wall), lam, loss, zorder=5, **look)
        axes.plot([wall, right], [at, at], [lowest, lowest], zorder=4, label=rf"$\lambda{response}$", **dashes)
        axes.plot([wall, wall], [at, at], [lowest, top], zorder=4, **dashes)
        axes.plot([w_at], [at], [lowest], "*", color=look["color"], mfc=face, mew=0.8, ms=9.0, zorder=8,
                  label=rf"$\mathrm{{w}}{response}(\lambda{response})$")  # fmt: skip
    axes.set_zlabel(r"Loss $\mathcal{L}_{\mathrm{Valid.}}(\mathrm{w})$", labelpad=-12, rotation=90)
    style.legend_above(fig, axes, 2, spacing=wireframe.LEGEND_SPACING)
    return fig
