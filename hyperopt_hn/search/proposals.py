"""Black-box search over a space: random, grid, or Optuna's TPE and GP. The baselines of `toy` and `deep`.

A search keeps no memory of its own: what to try next is a function of (seed, the trials so far), so a resumed search
goes on exactly where it was, and processes that share a study (see `study`) never propose the same by their seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from hyperopt_hn.config import described
from hyperopt_hn.errors import UserError, unknown
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.search.grid import Grid
from hyperopt_hn.search.trial import Trial
from hyperopt_hn.space import HyperSpace

METHODS = ("random", "grid", "tpe", "gp")
MODELS = ("tpe", "gp")
"""Methods that learn from the trials; Optuna has them, and its GP loads torch."""

MARGIN = 1e-3
"""A search stays so far (as a share of the range) inside bounds at which a raw value would be infinite."""


@described
@dataclass(frozen=True)
class Search:
    """Proposes trials. Raises UserError for an unknown method or a space without finite bounds (see `searchable`).

    TPE and GP are Optuna's. With one seed they begin with the same random trials.
    """

    space: HyperSpace
    method: str
    seed: int
    levels: int = 3
    """Levels of a grid."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Hyperparameters that share a level of the grid."""
    start_at_init: bool = False
    """Whether the first trial is at the space's initial values (not in a grid)."""
    startup: int = 10
    """Random trials before the model of TPE or GP proposes; 10 is Optuna's default."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(unknown("search method", self.method, METHODS))
        self.space.sample(np.random.default_rng(0))  # finite bounds, or the error that asks for them
        if self.method == "grid":
            self.grid.size  # noqa: B018  too many points are an error now, not at the first trial
        if self.method in MODELS:
            need_optuna()

    @cached_property
    def grid(self) -> Grid:
        """The grid of this search."""
        return Grid(self.space, self.levels, self.groups, self.seed)

    def ask(self, trials: Sequence[Trial], count: int) -> list[dict[str, Any]]:
        """The next `count` settings to try, given all trials so far (losses may be NaN: failed).

        Fewer if the grid is exhausted.

        Several asked at once differ, as TPE and GP take those that are still running into account.
        """
        if self.method in MODELS:
            return self._modelled(trials, count)
        asked = [self.unmodelled(len(trials) + i) for i in range(count)]
        return [values for values in asked if values is not None]

    def unmodelled(self, number: int) -> dict[str, Any] | None:
        """What the number-th trial tries where the other trials do not matter; None where they do, or none is left."""
        if self.method == "grid":
            return self.grid.point(number)
        if self.start_at_init and number == 0:
            return initial(self.space)
        if self.method == "random":
            return self.space.sample(np.random.default_rng([self.seed, number]))
        return None

    def _modelled(self, trials: Sequence[Trial], count: int) -> list[dict[str, Any]]:
        return need_optuna().propose(self.space, self.sampler(), trials, count)

    def sampler(self) -> Any:
        """This search as a sampler of Optuna's."""
        return need_optuna().TrialSampler(self.space, self.method, self.seed, self.startup, self.unmodelled)


def initial(space: HyperSpace) -> dict[str, Any]:
    """The initial values of the tuned hyperparameters."""
    found = ((name, space[name]) for name in space.tuned)
    return {name: float(h.init) if h.size is None else np.full(h.size, float(h.init)) for name, h in found}


def searchable(space: HyperSpace, reach: float = 100.0) -> HyperSpace:
    """The same hyperparameters between finite bounds at which a trial can be.

    Bounds of continuous ones move in by a thousandth of the range (a rate of exactly 1 drops everything). A missing
    upper bound becomes low + reach·(init - low), with `log` init·reach; a missing (or zero) lower one with `log`
    init / reach. Raises UserError where that leaves no finite range.
    """
    moved = [_narrow(hyper, reach) if hyper.name in space.tuned else hyper for hyper in space.hypers]
    found = HyperSpace(moved, space.tuned)
    found.sample(np.random.default_rng(0))
    return found


def _narrow(hyper: Hyper, reach: float) -> Hyper:
    low, high = hyper.low, hyper.high
    if hyper.log:
        low = hyper.init / reach if low == 0 else low
        high = hyper.init * reach if math.isinf(high) else high
    elif math.isinf(high) and not math.isinf(low):
        high = low + reach * (hyper.init - low)
    if hyper.grid is not None or math.isinf(low) or math.isinf(high):
        whole = math.ceil if hyper.discrete else float
        return replace(hyper, low=low, high=whole(high))
    rim = MARGIN * (high - low) if not hyper.log else 0.0
    if hyper.log:
        ratio = (high / low) ** MARGIN
        low, high = low * ratio, high / ratio
    low, high = low + rim, high - rim
    inner = 1e-6 * (high - low)
    return replace(hyper, low=low, high=high, init=min(max(hyper.init, low + inner), high - inner))


def need_optuna() -> ModuleType:
    """The one module that imports Optuna. Raises UserError with the remedy where it is not installed."""
    try:
        from hyperopt_hn.search import optuna_bridge
    except ImportError:
        raise UserError("TPE, GP and shared studies need Optuna; pip install 'hyperopt_hn[search]'") from None
    return optuna_bridge
