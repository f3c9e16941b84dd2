"""The stage of the two loss manifolds: an orthographic wireframe seen from the published viewpoint, without ticks."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from figures.kit import small_print, style
from figures.kit.runs import Array

ELEVATION, AZIMUTH = 46.0, 120.0  # degrees
WIRES = 10  # one wire in so many grid lines
LEGEND_SHARE = 0.17  # of the picture's height
LEGEND_SPACING = {"columnspacing": 2.4, "labelspacing": 0.65}  # hats and indices need room

EXACT: dict[str, Any] = {"color": style.BLUE, "linestyle": "-", "lw": 1.6}
LINEAR: dict[str, Any] = {"color": style.RED, "linestyle": style.DASHDOT, "lw": 1.6}


def stage(fig: Figure, w: Array, lam: Array, surface: Array, wall: float | None = None) -> Axes3D:
    """3-D axes with the wireframe of `surface` (w, λ); `wall` is where the w axis begins when not at the surface.

    Later artists are drawn by their zorder, not by depth: a response that passes behind a wire stays visible.
    """
    floor = small_print.picture_floor(fig)
    fig.set_layout_engine("none")  # constrained layout leaves 3-D axes a postage stamp
    height = (1.0 - floor) * (1.0 - LEGEND_SHARE)
    axes: Axes3D = fig.add_axes((0.0, floor, 1.0, height), projection="3d")
    axes.computed_zorder = False
    axes.set_proj_type("ortho")
    axes.view_init(elev=ELEVATION, azim=AZIMUTH)
    axes.plot_wireframe(w[:, None], lam[None, :], surface, rstride=WIRES, cstride=WIRES, color=style.BLACK, lw=0.45,
                        alpha=0.75, zorder=1)  # fmt: skip
    axes.set_xlim(float(w.min()) if wall is None else wall, float(w.max()))
    axes.set_ylim(float(lam.min()), float(lam.max()))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 1.0))
        axis.set_ticks([])
    axes.grid(False)
    axes.set_xlabel(r"Parameter $\mathrm{w}$", labelpad=-12)
    axes.set_ylabel(r"Hyperparameter $\lambda$", labelpad=-12)
    return axes
