"""A space of hyperparameters and Optuna's distributions, in both directions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from hyperopt_hn.errors import UserError
from hyperopt_hn.hyper import Hyper


class Space(Protocol):
    """What is asked of a HyperSpace here."""

    tuned: tuple[str, ...]

    def __getitem__(self, name: str) -> Hyper: ...


def suggest(space: Space, trial: Any) -> dict[str, Any]:
    """Ask an Optuna trial for a value of every tuned hyperparameter: name -> number or (size,) array."""
    for hyper in tuned(space):
        hyper.need_ends()
    found = {name: _ask(trial, name, dist) for name, dist in distributions(space).items()}
    return unflat(space, found)


def values_of(study: Study, space: Space, trial: FrozenTrial) -> dict[str, Any]:
    """The values of a trial; what it lacks because its run was killed while it asked is asked for now."""
    if trial.state.is_finished():
        return unflat(space, trial.params)
    return suggest(space, optuna.trial.Trial(study, trial._trial_id))


def hypers(distributions: Mapping[str, BaseDistribution], init: Mapping[str, float]) -> list[Hyper]:
    """Hyperparameters with the ranges of Optuna's distributions, starting at `init` or in the middle."""
    return [_hyper(name, dist, init.get(name)) for name, dist in distributions.items()]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distribution of every number that is searched over."""
    return {name: _distribution(hyper) for hyper in tuned(space) for name in entries(hyper)}


def tuned(space: Space) -> list[Hyper]:
    """The hyperparameters that are searched over."""
    return [space[name] for name in space.tuned]


def flat_values(space: Space, values: Mapping[str, Any]) -> dict[str, float | int]:
    """Plain numbers inside the bounds, vectors entry by entry under the names of `HyperSpace.to_optuna`."""
    out: dict[str, float | int] = {}
    for hyper in tuned(space):
        clean = [hyper.clean(min(max(float(x), hyper.low), hyper.high)) for x in np.ravel(values[hyper.name])]
        out.update(zip(entries(hyper), clean, strict=True))
    return out


def unflat(space: Space, found: Mapping[str, Any]) -> dict[str, Any]:
    """What `flat_values` made flat."""
    out: dict[str, Any] = {}
    for hyper in tuned(space):
        numbers = [float(found[name]) for name in entries(hyper)]
        out[hyper.name] = numbers[0] if hyper.size is None else np.array(numbers)
    return out


def entries(hyper: Hyper) -> list[str]:
    """The names of a hyperparameter's numbers: its own, or 'name[0]', 'name[1]', …"""
    return [hyper.name] if hyper.size is None else [f"{hyper.name}[{i}]" for i in range(hyper.size)]


def _distribution(hyper: Hyper) -> BaseDistribution:
    if hyper.discrete:
        step = 1 if hyper.step is None else int(hyper.step)
        return IntDistribution(int(hyper.low), int(hyper.high), log=hyper.log, step=step)
    return FloatDistribution(hyper.low, hyper.high, log=hyper.log, step=hyper.step)


def _ask(trial: Any, name: str, dist: BaseDistribution) -> float:
    if isinstance(dist, IntDistribution):
        return float(trial.suggest_int(name, dist.low, dist.high, step=dist.step, log=dist.log))
    assert isinstance(dist, FloatDistribution)
    return float(trial.suggest_float(name, dist.low, dist.high, step=dist.step, log=dist.log))


def _hyper(name: str, dist: BaseDistribution, init: float | None) -> Hyper:
    if not isinstance(dist, (FloatDistribution, IntDistribution)):
        raise UserError(
            f"hyperparameter {name!r}: {type(dist).__name__} cannot be tuned through a learned response, which needs "
            "a continuous scale; search over it with Optuna outside, or give a float or int distribution"
        )
    discrete = isinstance(dist, IntDistribution)
    step = None if dist.step is None or (discrete and dist.step == 1) else float(dist.step)
    if init is None:
        init = math.sqrt(dist.low * dist.high) if dist.log else 0.5 * (dist.low + dist.high)
        grid = step if step is not None else 1.0 if discrete else None
        init = init if grid is None else dist.low + grid * math.floor((init - dist.low) / grid)
    return Hyper(name, init, float(dist.low), float(dist.high), log=dist.log, step=step, discrete=discrete)
