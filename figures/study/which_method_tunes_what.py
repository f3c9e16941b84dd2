"""which_method_tunes_what: for each kind of hyperparameter and method how often the claimed slope's sign is right.

It reads the table that `python -m deep.study.slopes --csv FILE` writes. A cell's ground says in four steps what it is
worth, its words how many signs are right and the median of claimed by true.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from figures.kit import style
from figures.kit.steady_layout import SteadyLayout
from hyperopt_hn.errors import UserError

OFTEN, MOSTLY, SIZE = (9, 10), (2, 3), 2.0
"""Shares of right signs; the factor within which a claim's size counts as right."""
ROW = 0.27  # inches
GROUNDS = {
    "sign right in 9 of 10 and more, size within a factor of 2": "#56B4E9",
    "sign right in 9 of 10 and more": "#BFE0F5",
    "sign right in two thirds and more": "#F7E3A1",
    "sign right less often (guessing: half)": "#EBA47F",
    "no claim": "#E4E4E4",
}
"""What a cell may be worth, and the colour of its ground: light enough for black words, apart in grey."""
WORTH = tuple(GROUNDS)
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class ToldCell:
    """A line of the table: clear true slopes, of these the right signs, the median ratio, or words for no claim."""

    problem: str
    method: str
    clear: int
    right: int
    ratio: float | None
    words: str

    def worth(self) -> str:
        """One of WORTH."""
        if self.ratio is None:
            return WORTH[4]
        if self.right * OFTEN[1] < self.clear * OFTEN[0]:
            return WORTH[2] if self.right * MOSTLY[1] >= self.clear * MOSTLY[0] else WORTH[3]
        return WORTH[0] if 1 / SIZE <= self.ratio <= SIZE else WORTH[1]

    def text(self) -> str:
        """What stands in the cell."""
        return self.words or ("" if self.ratio is None else f"{self.right}/{self.clear}  {short(self.ratio)}")


def short(ratio: float) -> str:
    """A ratio in two digits, as a multiplier."""
    size = (
        f"{abs(ratio):.2f}" if abs(ratio) < 0.995 else f"{abs(ratio):.1f}" if abs(ratio) < 9.95 else f"{abs(ratio):.0f}"
    )
    size = "0" if size == "0.00" else size.removeprefix("0")
    return f"\N{MULTIPLICATION SIGN}{'' if ratio > 0 or size == '0' else MINUS}{size}"


def read_cells(path: Path) -> tuple[str, list[ToldCell]]:
    """What was measured, and the cells. Raises UserError naming the file and the command that writes it."""
    remedy = "write it with python -m deep.study.slopes --show RECORD --csv FILE"
    try:
        measured, *lines = path.read_text(encoding="utf-8").splitlines()
        cells = [
            ToldCell(
                line["problem"], line["method"], int(line["clear"]), int(line["right"]),
                float(line["ratio"]) if line["ratio"] else None, line["words"],
            )
            for line in csv.DictReader(lines)
        ]  # fmt: skip
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}; {remedy}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no table of slopes ({error}); {remedy}") from error
    if not cells or not measured.startswith("# "):
        raise UserError(f"{path} is no table of slopes; {remedy}")
    return measured[2:], cells


@style.styled()
def draw(measured: str, cells: Sequence[ToldCell]) -> Figure:
    """The table as a picture as wide as a page; below it what was measured."""
    rows = list(dict.fromkeys(cell.problem for cell in cells))
    columns = list(dict.fromkeys(cell.method for cell in cells))
    height = ROW * (len(rows) + 1) + 0.75
    fig = Figure(figsize=(style.PAGE, height), layout=SteadyLayout(rect=(0.0, 0.2 / height, 1.0, 1.0 - 0.2 / height)))
    axes = fig.add_subplot()
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    for cell in cells:
        _put(axes, columns.index(cell.method), rows.index(cell.problem), cell)
    seen = [worth for worth in WORTH if any(cell.worth() == worth for cell in cells)]
    handles = [Patch(facecolor=GROUNDS[worth], edgecolor=style.GREY, lw=0.5, label=worth) for worth in seen]
    fig.legend(handles=handles, loc="outside upper center", ncols=2)
    words = (
        f"Right signs of the claimed slopes dL_valid/dλ where the retrained one is clear, and the median of claimed by "
        f"true.\n{measured}"
    )
    fig.text(0.5, 0.02 / height, words, ha="center", va="bottom", fontsize=style.FOOTER, color=style.GREY,
             parse_math=False, in_layout=False)  # fmt: skip
    fig.set_label(words.replace("\n", " "))
    return fig


def _put(axes: Axes, column: int, row: int, cell: ToldCell) -> None:
    ground = GROUNDS[cell.worth()]
    axes.add_patch(Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=ground, lw=0))
    look: dict[str, Any] = {"color": style.GREY, "style": "italic"} if cell.words else {"color": style.BLACK}
    axes.text(column, row, cell.text(), ha="center", va="center", fontsize=style.SMALL, **look)
