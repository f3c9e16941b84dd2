"""What a figure is: how it is drawn, and from which runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure

from figures.kit.roots import TOY, Maker
from figures.kit.runs import Needs


@dataclass(frozen=True)
class Sheet:
    """A figure by name."""

    draw: Callable[..., Figure]
    """`draw(runs)`; a pooled one takes the same runs at further seeds as further arguments."""
    reads: Mapping[str, Needs]
    optional: tuple[str, ...] = ()
    """Runs that are drawn when they exist."""
    which: Literal["all", "any", "first"] = "all"
    """Of the runs that are not optional "all" must be there; or it draws "any" of them, or the "first" one found."""
    pooled: bool = False
    """Whether several seeds are drawn as mean and spread; else the first root alone is drawn."""
    maker: Maker = TOY
    """What makes its runs, for those that are missing."""
    csv: Callable[..., str] | None = None
    """`csv(runs)`, called as `draw`: the same numbers as text, written beside the picture."""
