"""Black-box search over a space: random, or Optuna's TPE. The baselines of both wings.

A search keeps no memory of its own: what to try next is a function of (seed, the trials so far), so a resumed search
goes on exactly where it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.errors import UserError
from hyperopt_hn.options import unknown
from hyperopt_hn.space import Hyper, HyperSpace

METHODS = ("random", "tpe")


@dataclass(frozen=True)
class Trial:
    """Tuned hyperparameters in natural units (name -> number or (size,) array) and the validation loss they reached."""

    values: Mapping[str, Any]
    loss: float


@dataclass(frozen=True)
class Search:
    """Proposes trials. Raises UserError for an unknown method or a space without finite bounds."""

    space: HyperSpace
    method: str
    seed: int

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(unknown("search method", self.method, METHODS))
        self.space.sample(np.random.default_rng(0))  # finite bounds, or the error that asks for them

    def ask(self, trials: Sequence[Trial], count: int) -> list[dict[str, Any]]:
        """The next `count` settings to try, given all trials so far (losses may be NaN: failed)."""
        if self.method == "random":
            rng = np.random.default_rng([self.seed, len(trials)])
            return [self.space.sample(rng) for _ in range(count)]
        return self._tpe(trials, count)

    def _tpe(self, trials: Sequence[Trial], count: int) -> list[dict[str, Any]]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=self.seed + len(trials))
        study = optuna.create_study(sampler=sampler)
        distributions = {
            name: distribution for hyper in self._tuned() for name, distribution in _distributions(hyper).items()
        }
        for trial in trials:
            parameters = {name: x for hyper in self._tuned() for name, x in _entries(hyper, trial.values[hyper.name])}
            failed = not math.isfinite(trial.loss)
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
                    params=parameters,
                    distributions=distributions,
                    value=None if failed else trial.loss,
                )
            )
        return [self.space.to_optuna(study.ask()) for _ in range(count)]

    def _tuned(self) -> list[Hyper]:
        return [self.space[name] for name in self.space.tuned]


def _entries(hyper: Hyper, value: Any) -> list[tuple[str, Any]]:
    """(name, plain number) of each entry, named as `HyperSpace.to_optuna` names them."""
    clean = [hyper.clean(min(max(float(x), hyper.low), hyper.high)) for x in np.ravel(value)]
    return [(hyper.name, clean[0])] if hyper.size is None else [(f"{hyper.name}[{i}]", x) for i, x in enumerate(clean)]


def _distributions(hyper: Hyper) -> dict[str, Any]:
    import optuna

    dist: Any
    if hyper.discrete:
        step = 1 if hyper.step is None else int(hyper.step)
        dist = optuna.distributions.IntDistribution(int(hyper.low), int(hyper.high), log=hyper.log, step=step)
    else:
        dist = optuna.distributions.FloatDistribution(hyper.low, hyper.high, log=hyper.log, step=hyper.step)
    names = [hyper.name] if hyper.size is None else [f"{hyper.name}[{i}]" for i in range(hyper.size)]
    return dict.fromkeys(names, dist)
