"""The look of the figures: sizes, colours and text that stay readable at a paper's column width and in grey print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMN = 3.3  # inches, one column of a two-column paper
PAGE = 6.9  # inches, both columns
TEXT = 8.0  # points; nothing in a picture is smaller than SMALL
SMALL = 7.0
FOOTER = 6.0  # points, of the small print under a picture
DPI = 200

# Okabe and Ito's colours, which the common forms of colour blindness keep apart. Lines that share an axis also
# differ in dash or marker, because BLUE, RED and GREEN are close to each other in grey.
BLUE, RED, GREEN, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#9C4F84", "#000000", "#555555"

DASHED = (0, (4.0, 1.8))
DASHDOT = (0, (6.0, 1.5, 1.2, 1.5))
DOTTED = (0, (1.2, 1.4))

SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "text.usetex": False,
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "axes.titlesize": TEXT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.2,
    "figure.constrained_layout.h_pad": 0.05,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,
    "savefig.dpi": DPI,
    "figure.dpi": DPI,
    "pdf.fonttype": 42,  # text in the PDF stays text that can be searched
    "pdf.compression": 6,
    "path.simplify": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Within, matplotlib draws in this style whatever the user's own matplotlibrc says; usable as a decorator."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def legend_above(
    fig: Figure,
    axes: Axes,
    columns: int,
    handles: list[Artist] | None = None,
    labels: list[str] | None = None,
    spacing: Mapping[str, float] | None = None,
) -> None:
    """Puts the legend above the axes, where it never hides data; `columns` entries a row, filled column by column.

    `spacing` is the legend's own, such as `labelspacing`, in heights of a letter.
    """
    if handles is None or labels is None:
        found_handles, found_labels = axes.get_legend_handles_labels()
        handles, labels = list(found_handles), list(found_labels)
    fig.legend(handles, labels, loc="outside upper center", ncols=columns, **(spacing or {}))
