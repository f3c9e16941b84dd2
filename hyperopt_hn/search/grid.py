"""A grid over groups of hyperparameters: the members of a group share one level, a fraction of their ranges.

A full grid over fifteen hyperparameters has no end (3¹⁵ points); three levels of five groups have 243. The points are
visited in a seeded random order, so that a grid that a budget cuts short is a fair sample of the whole one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hyperopt_hn.errors import UserError
from hyperopt_hn.space import HyperSpace, at_fraction

LARGEST = 1_000_000
"""More points than this are no search; the order of so many takes 8 MB."""


@dataclass(frozen=True)
class Grid:
    """The tuned hyperparameters of `space` on `levels` levels: the middles of as many equal parts of their ranges.

    `groups` maps a group's name to hyperparameters that share a level; every other one is a group by itself.
    Raises UserError for fewer than one level, a name in two groups and more than a million points.
    """

    space: HyperSpace
    levels: int = 3
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise UserError(f"a grid of {self.levels} levels has no point; take at least 1")
        named = [name for names in self.groups.values() for name in names if name in self.space.tuned]
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise UserError(f"hyperparameter {twice!r} is in two groups of the grid; leave it in one")
        if self.size > LARGEST:
            what = f"a grid of {self.size} points ({self.levels} levels of {len(self._axes)} groups) is too large"
            rest = "or tune fewer hyperparameters"
            raise UserError(f"{what}; lower levels {rest}", f"{what}; lower --grid-levels {rest}")

    @property
    def size(self) -> int:
        """How many points there are."""
        return math.prod(len(axis) for axis in self._axes)

    def point(self, number: int) -> dict[str, Any] | None:
        """Natural values of the tuned hyperparameters at the number-th point in seeded order; None after the last."""
        if number >= self.size:
            return None
        place = int(self._order[number])
        found: dict[str, Any] = {}
        for axis in self._axes:
            place, here = divmod(place, len(axis))
            found |= axis[here]
        return {name: found[name] for name in self.space.tuned}

    @cached_property
    def _axes(self) -> list[list[dict[str, Any]]]:
        """For each group, the values of its members at each level; levels that coincide (whole numbers) count once."""
        grouped = {name for names in self.groups.values() for name in names}
        parts = [[name for name in names if name in self.space.tuned] for names in self.groups.values()]
        parts += [[name] for name in self.space.tuned if name not in grouped]
        return [self._levels(names) for names in parts if names]

    def _levels(self, names: Sequence[str]) -> list[dict[str, Any]]:
        fractions = (np.arange(self.levels) + 0.5) / self.levels
        rows = [{name: _filled(self.space, name, float(f)) for name in names} for f in fractions]
        seen: dict[str, dict[str, Any]] = {}
        for row in rows:
            seen.setdefault(repr({name: np.asarray(value).tolist() for name, value in row.items()}), row)
        return list(seen.values())

    @cached_property
    def _order(self) -> np.ndarray:
        return np.random.default_rng(self.seed).permutation(self.size)


def _filled(space: HyperSpace, name: str, fraction: float) -> Any:
    """The value at a fraction of the range; a vector has it in every entry."""
    hyper = space[name]
    value = at_fraction(hyper, fraction)
    return float(value) if hyper.size is None else np.full(hyper.size, float(value))
