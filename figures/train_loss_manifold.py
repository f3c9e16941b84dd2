"""train_loss_manifold: a training loss over weight and hyperparameter, its best response and the linear one.

Lorraine & Duvenaud 2018, figure 2 (left). The linear response touches the exact one at λ̂ and leaves it elsewhere;
the curves drawn on the wall at the smallest w show what each response costs.
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
            "w": "W", "lam": "L", "train": "W L", "lam_hat": "", "lam_hat_w": "", "lam_hat_loss": "",
            "train_best_lam": "B", "train_best_w": "B", "train_best_loss": "B",
            "train_linear_lam": "T", "train_linear_w": "T", "train_linear_loss": "T",
        }
    ),
}  # fmt: skip
RUNS = tuple(READS)


@style.styled()
def draw(runs: Runs) -> Figure:
    """The training surface, both responses, their shadows on the wall, and the current λ̂."""
    (name,) = RUNS
    data = arrays(runs[name], READS[name])
    fig = small_print.page([runs[name]], style.COLUMN, 3.35)
    axes = wireframe.stage(fig, data["w"], data["lam"], data["train"])
    wall = float(data["w"].min())
    for kind, look, label in (
        ("best", wireframe.EXACT, r"$\mathcal{L}(\mathrm{w}^*(\lambda),\,\lambda)$"),
        ("linear", wireframe.LINEAR, r"$\mathcal{L}(\mathrm{w}_{\phi^*}(\lambda),\,\lambda)$"),
    ):
        lam, loss = data[f"train_{kind}_lam"], data[f"train_{kind}_loss"]
        axes.plot(data[f"train_{kind}_w"], lam, loss, label=label, zorder=6, **look)
        axes.plot(np.full_like(lam, wall), lam, loss, zorder=5, **look)
    w_hat, at, loss_hat = (float(data[name]) for name in ("lam_hat_w", "lam_hat", "lam_hat_loss"))
    here = {"color": style.GREEN, "linestyle": style.DASHED, "lw": 1.3, "zorder": 7}
    axes.plot([data["w"].min(), data["w"].max()], [at, at], [loss_hat, loss_hat], label=r"$\hat{\lambda}$", **here)
    axes.plot([wall, wall], [at, at], [loss_hat, data["train"].max()], **here)
    axes.plot([w_hat], [at], [loss_hat], "*", color=style.GREEN, mec="white", mew=0.4, ms=10.0, zorder=8,
              label=r"$\mathrm{w}^*(\hat{\lambda}),\,\mathrm{w}_{\phi^*}(\hat{\lambda})$")  # fmt: skip
    axes.set_zlabel(r"Loss $\mathcal{L}_{\mathrm{Train}}(\mathrm{w},\,\lambda)$", labelpad=-12, rotation=90)
    style.legend_above(fig, axes, 2, spacing=wireframe.LEGEND_SPACING)
    return fig
