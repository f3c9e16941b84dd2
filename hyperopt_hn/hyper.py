"""One hyperparameter: its range, where it starts, how it is perturbed, and the map to and from raw space.

The words `low`, `high`, `log` and `step` mean what they mean in Optuna's FloatDistribution and IntDistribution
(inclusive bounds, `log` and `step` exclusive); `init`, `spread`, `shared`, `discrete` and `size` are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.config import described
from hyperopt_hn.errors import UserError
from hyperopt_hn.transforms import Array, bounded, unbounded


@described
@dataclass(frozen=True)
class Hyper:
    """One hyperparameter: `value(raw(v)) == v`, exactly on a grid and to rounding (1e-12 relative) otherwise.

    A continuous value lies strictly between the bounds. A grid value (`discrete`, or `step`) is low + k·step and
    owns the bin [low + k·step, low + (k+1)·step) of the continuous range behind it, the last bin included, so
    every grid value has the same room and `high` is reached; raw(v) is the middle of v's bin. Flooring is
    outside the gradient path (its derivative is zero). `log=True` with low=0, high=inf is value = exp(raw).
    Raises UserError at construction for anything that could not be tuned.
    """

    name: str
    """Unique in its space; the key under which the value is used, logged and set."""
    init: float
    """Where tuning starts, in natural units; strictly inside the bounds (on the grid, if there is one)."""
    low: float = -math.inf
    """Lower bound in natural units; -inf is none."""
    high: float = math.inf
    """Upper bound in natural units; inf is none."""
    log: bool = False
    """Whether the raw scale is the logarithm of the value."""
    step: float | None = None
    """Grid spacing from `low` on, in natural units; None is continuous (1 if discrete)."""
    discrete: bool = False
    """Whether the value is a whole number."""
    shared: bool = False
    """Whether one perturbation serves a whole batch (weight penalties, DropConnect) instead of one per example."""
    spread: float | None = None
    """Initial standard deviation σ of the perturbation, in raw units; 0 is no perturbation.

    None is 0.5, as published, or what the training asks for (a SelfTuner's 2). Too small: the response drowns
    in noise and λ̂ wanders. Too large: it answers for values far away.
    """
    box: float | None = None
    """How far λ̂ may go from the middle of its range, in raw units, where both bounds are finite; inf is no box.

    None is no box, as published, or what the training asks for (a SelfTuner's 3.5: from 3 to 97 % of the range). At a
    bound a perturbation changes nothing, so that λ̂ would rest there. A start outside widens the box.
    """
    size: int | None = None
    """None for one number; otherwise the length of a vector of them with these settings (one per weight, say)."""

    def __post_init__(self) -> None:
        problem = _type_problem(self) or _range_problem(self) or _init_problem(self)
        if problem:
            raise UserError(f"hyperparameter {self.name!r}: {problem}")

    @property
    def width(self) -> int:
        """How many entries of λ it takes."""
        return 1 if self.size is None else self.size

    @property
    def grid(self) -> float | None:
        """Grid spacing in natural units, None if continuous."""
        return self.step if self.step is not None else 1.0 if self.discrete else None

    @property
    def top(self) -> float:
        """The largest value: the last grid point, or `high`."""
        if self.grid is None or math.isinf(self.high):
            return self.high
        return self.low + self.grid * math.floor((self.high - self.low) / self.grid + 1e-9)

    def value(self, raw: Array, xp: Any = np) -> Array:
        """Raw (...) to natural units (...)."""
        inner = self._continuous(raw, xp)
        if self.grid is None:
            return inner
        index = xp.floor((inner - self.low) / self.grid)
        if not math.isinf(self.top):
            index = xp.clip(index, 0.0, round((self.top - self.low) / self.grid))
        return self.low + self.grid * index

    def raw(self, value: Array, xp: Any = np) -> Array:
        """Natural units (...) to raw (...); the middle of the bin for grid values. Raises UserError at a bound."""
        value = xp.asarray(value)
        outside = (value < self.low) | (value > self.high)
        at_bound = (value <= self.low) | (value >= self.high) if self.grid is None else outside
        if bool(xp.any(outside | at_bound)):
            raise UserError(f"hyperparameter {self.name!r}: {_outside(self, value)}")
        inner = value if self.grid is None else value + 0.5 * self.grid
        return unbounded(xp.log(inner) if self.log else inner, *self.scaled_edges(), xp)

    def reach(self, box: float) -> tuple[float, float]:
        """The lowest and highest raw value of λ̂ inside the box, `box` where it has none of its own."""
        size = box if self.box is None else self.box
        if math.isinf(size) or any(math.isinf(edge) for edge in self.scaled_edges()):
            return -math.inf, math.inf
        start = float(self.raw(self.init))
        return min(-size, start), max(size, start)

    def clean(self, value: float) -> float | int:
        """A value as a plain Python number, whole if discrete."""
        return round(value) if self.discrete else float(value)

    def need_ends(self) -> None:
        """Raise UserError for a range without an end, over which nothing can be searched."""
        if math.isinf(self.low) or math.isinf(self.high) or (self.log and self.low == 0):
            raise UserError(f"hyperparameter {self.name!r}: a search needs finite bounds; give low and high")

    def edges(self) -> tuple[float, float]:
        """The open range of the continuous value behind this one: (low, high), or the outer bin edges of a grid."""
        return self.low, self.high if self.grid is None else self.top + self.grid

    def scaled_edges(self) -> tuple[float, float]:
        """The same on the scale on which raw space is spread: logarithms for `log`."""
        low, high = self.edges()
        return (_log(low), _log(high)) if self.log else (low, high)

    def raw_spread(self, default: float = 0.5, decades: float = math.inf) -> float:
        """σ of the perturbation in raw units: the spread, or else `default`, of `decades` at most on a log scale.

        Between two bounds a raw unit is a quarter of the range where it is widest: over ten decades a spread of 2 would
        reach five, and no response is straight over so many.
        """
        if self.spread is not None:
            return self.spread
        low, high = self.scaled_edges()
        if not self.log or math.isinf(decades) or math.isinf(high - low):
            return default
        return min(default, 4.0 * decades * math.log(10.0) / (high - low))

    def _continuous(self, raw: Array, xp: Any) -> Array:
        value = bounded(raw, *self.scaled_edges(), xp)
        return xp.exp(value) if self.log else value


def _log(x: float) -> float:
    return -math.inf if x == 0 else math.log(x)


def _outside(hyper: Hyper, value: Any) -> str:
    shown = float(np.ravel(np.asarray(value, dtype=float))[0]) if np.size(value) == 1 else "a value"
    if hyper.grid is None:
        return f"{shown} is not strictly between low={hyper.low:g} and high={hyper.high:g} (raw is infinite at a bound)"
    return f"{shown} is not between low={hyper.low:g} and high={hyper.high:g}"


def _type_problem(hyper: Hyper) -> str | None:
    if not isinstance(hyper.name, str) or not hyper.name:
        return "the name must be a non-empty string"
    for field in ("init", "low", "high", "spread", "box"):
        number = getattr(hyper, field)
        if number is None and field in ("spread", "box"):
            continue
        if isinstance(number, (bool, str, list, tuple)) or not isinstance(number, (int, float, np.number)):
            return (
                f"{field}={number!r} is not a number; a learned response cannot tune categories: "
                "run one space per choice, or search over them with Optuna"
            )
        if math.isnan(number):
            return f"{field} is NaN"
    if hyper.size is not None and (not isinstance(hyper.size, int) or hyper.size < 1):
        return f"size={hyper.size!r} must be a whole number of at least 1, or None"
    return None


def _range_problem(hyper: Hyper) -> str | None:
    if not hyper.low < hyper.high:
        return f"low={hyper.low:g} must be below high={hyper.high:g}"
    if hyper.spread is not None and (hyper.spread < 0 or math.isinf(hyper.spread)):
        return f"spread={hyper.spread:g} must be zero or a positive number"
    if hyper.box is not None and hyper.box <= 0:
        return f"box={hyper.box:g} must be a positive number, or inf for none"
    if hyper.log and hyper.low < (1 if hyper.discrete else 0):
        return f"log=True needs low of at least {1 if hyper.discrete else 0}, not {hyper.low:g}"
    if hyper.step is not None:
        if hyper.log:
            return "log and step exclude each other"
        if not 0 < hyper.step < math.inf:
            return f"step={hyper.step!r} must be a positive number"
    if hyper.grid is None:
        return None
    if math.isinf(hyper.low):
        return "a discrete hyperparameter (or one with step) needs a finite low, from which its grid starts"
    whole = (hyper.low, hyper.grid) + (() if math.isinf(hyper.high) else (hyper.high,))
    if hyper.discrete and any(x != int(x) for x in whole):
        return "low, high and step of a discrete hyperparameter must be whole numbers"
    return None


def _init_problem(hyper: Hyper) -> str | None:
    if hyper.grid is None:
        if not hyper.low < hyper.init < hyper.high:
            return "init " + _outside(hyper, hyper.init) + "; start inside"
        return None
    if not hyper.low <= hyper.init <= hyper.top:
        return f"init {hyper.init:g} is not between low={hyper.low:g} and the last grid value {hyper.top:g}"
    index = (hyper.init - hyper.low) / hyper.grid
    if abs(index - round(index)) > 1e-9:
        nearest = hyper.low + hyper.grid * round(index)
        return f"init {hyper.init:g} is not on the grid low + k·{hyper.grid:g}; take {nearest:g}"
    return None
