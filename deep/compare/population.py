"""Population-based training as a `Tuner`: members trained in turn, the worst replaced by changed copies of the best.

Source: Jaderberg et al. 2017, sec. 4.1.1, with truncation selection. Members take turns of `interval` steps; when all
had theirs, each of the worst quarter takes weights and optimizer state of one of the best quarter, and its
hyperparameters too, each times 0.8 or 1.2 in natural units or, with probability `resample`, drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deep.compare.trials import Best, looked
from hyperopt_hn.course import Course
from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.nn import TorchTuner
from hyperopt_hn.search.proposals import initial
from hyperopt_hn.space import Hyper, HyperSpace, at_fraction

KIND = "deep.compare.population.Population"
COPIED = ("model", "optimizers", "schedulers", "steps")
"""What a member takes over; its batches, its noise and torch's random stream stay its own."""
FACTORS = (0.8, 1.2)
SHARE = 4
"""A fourth of the population is replaced after each round."""


class Values:
    """A member's hyperparameters: a course that whoever holds it may move."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = dict(values)

    def at(self, step: int) -> Mapping[str, float]:
        """The present values, whatever the step."""
        return dict(self.values)


Build = Callable[[int, Course], TorchTuner]
"""(member, its values) -> a new tuner with nothing tuned that follows them."""


@dataclass(frozen=True)
class PopulationPlan:
    """A population's size and pace."""

    size: int
    interval: int
    """Steps of a member's turn, behind which it is evaluated."""
    resample: float = 0.25
    start_at_init: bool = True
    """Whether the first member starts at the initial values; the others are drawn from the ranges."""


class Population:
    """A population over the tuned hyperparameters of `space`, whose bounds are finite (see `searchable`).

    The record is the best member so far by validation loss. Raises UserError for a population of one.
    """

    def __init__(self, space: HyperSpace, build: Build, plan: PopulationPlan, seed: int) -> None:
        if plan.size < 2:
            raise UserError(f"a population of {plan.size} has nobody to learn from; give --population 2 or more")
        self.space, self.plan, self.seed = space, plan, seed
        self._build = build
        self._values = [Values(self._first(member)) for member in range(plan.size)]
        self._members = [build(member, values) for member, values in enumerate(self._values)]
        self._losses = [math.inf] * plan.size
        self._best = Best()
        self._steps = self._place = self._turn = self._round = 0
        self._history: list[list[float]] = []

    def train_step(self) -> dict[str, float]:
        """One step of the member whose turn it is; one that diverges is out until the round is over."""
        member = self._turn
        self._steps += 1
        self._place += 1
        try:
            report = dict(self._members[member].train_step())
            failed = not all(math.isfinite(loss) for loss in report.values())
        except NonFiniteError:
            report, failed = {}, True
        if failed or self._place >= self.plan.interval:
            self._judge(member, failed)
        return {} if failed else report

    def tune_step(self) -> dict[str, float]:
        """Nothing is tuned by gradient."""
        return {}

    def evaluate(self) -> dict[str, float]:
        """The best member so far, the number of members, and the latest turn's loss."""
        if not self._best.metrics:  # a look moves learning-rate schedules, so the first member is made anew
            self._best.offer(looked(self._members[0]), self._members[0].hypers())
            self._renew(0)
        last = self._losses[self._turn - 1]
        loss = {"trial_loss": last} if math.isfinite(last) else {}
        found = {**self._best.metrics, "trials": self.plan.size, "rounds": self._round}
        return {**found, **loss, "train_steps": self._steps}

    def hypers(self) -> Mapping[str, Any]:
        """The best member's values, as they were then."""
        return self._best.hypers if self._best.metrics else self._members[0].hypers()

    def state(self) -> dict[str, Any]:
        """Every member whole."""
        return {
            "kind": KIND,
            "members": [member.state() for member in self._members],
            "values": [dict(values.values) for values in self._values],
            "losses": [loss if math.isfinite(loss) else None for loss in self._losses],
            "best": {"metrics": dict(self._best.metrics), "hypers": dict(self._best.hypers)},
            "counts": [self._steps, self._place, self._turn, self._round],
            "history": [list(row) for row in self._history],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the very next step."""
        if state.get("kind") != KIND or len(state["members"]) != self.plan.size:
            raise UserError(f"this is no checkpoint of a population of {self.plan.size}")
        for values, saved in zip(self._values, state["values"], strict=True):
            values.values = dict(saved)
        for member, saved in zip(self._members, state["members"], strict=True):
            member.load_state(saved)
        self._losses = [math.inf if loss is None else loss for loss in state["losses"]]
        self._best = Best(**state["best"])
        self._steps, self._place, self._turn, self._round = state["counts"]
        self._history = [list(row) for row in state["history"]]

    def arrays(self) -> dict[str, np.ndarray]:
        """member_losses (rounds, size), NaN where one diverged; member_<hyperparameter> (size,), the last values."""
        losses = np.array(self._history, dtype=float).reshape(-1, self.plan.size)
        names = self.space.tuned
        return {"member_losses": losses} | {
            f"member_{name}": np.array([values.values[name] for values in self._values]) for name in names
        }

    def _judge(self, member: int, failed: bool) -> None:
        """End a turn; at the end of a round, select."""
        metrics = {} if failed else looked(self._members[member])
        whole = bool(metrics) and all(math.isfinite(value) for value in metrics.values())
        self._losses[member] = metrics["valid_loss"] if whole else math.inf
        if whole:
            self._best.offer(metrics, self._members[member].hypers())
        self._place, self._turn = 0, self._turn + 1
        if self._turn == self.plan.size:
            self._history.append([loss if math.isfinite(loss) else math.nan for loss in self._losses])
            self._select()
            self._turn, self._round = 0, self._round + 1

    def _select(self) -> None:
        """Truncation: the worst quarter, and whoever diverged, become changed copies of the best quarter."""
        order = sorted(range(self.plan.size), key=lambda member: self._losses[member])
        alive = [member for member in order if math.isfinite(self._losses[member])]
        if not alive:
            raise NonFiniteError("every member of the population diverged; lower the learning rate or the bounds")
        quarter = max(1, self.plan.size // SHARE)
        best = alive[:quarter]
        worst = [member for member in order[-quarter:] if member not in best]
        worst += [member for member in order if member not in alive and member not in worst]
        for member in worst:
            rng = np.random.default_rng([self.seed, self._round, member])
            self._adopt(member, best[int(rng.integers(len(best)))], rng)

    def _adopt(self, member: int, source: int, rng: np.random.Generator) -> None:
        theirs = self._members[source].state()
        if not math.isfinite(self._losses[member]):
            self._renew(member)  # what it carried (hidden states, momenta) is not finite either
        own = self._members[member].state()
        self._values[member].values = explored(self._values[source].values, self.space, self.plan.resample, rng)
        taken = {name: theirs[name] for name in COPIED}
        self._members[member].load_state({**own, **taken, "random": theirs["random"]})

    def _renew(self, member: int) -> None:
        """Build a member anew; torch's random stream, which that seeds, goes on as if it had not been built."""
        other = self._members[member - 1].state()
        self._members[member] = self._build(member, self._values[member])
        self._members[member - 1].load_state(other)

    def _first(self, member: int) -> dict[str, float]:
        if member == 0 and self.plan.start_at_init:
            return initial(self.space)
        return self.space.sample(np.random.default_rng([self.seed, member]))


def explored(
    values: Mapping[str, float], space: HyperSpace, resample: float, rng: np.random.Generator
) -> dict[str, float]:
    """Each value times 0.8 or 1.2 within its bounds, a whole number by at least one; or a fresh draw."""
    return {name: _changed(values[name], space[name], resample, rng) for name in space.tuned}


def _changed(value: float, hyper: Hyper, resample: float, rng: np.random.Generator) -> float:
    fresh, anew, up = at_fraction(hyper, rng.random()), rng.random() < resample, int(rng.integers(2))
    if anew:
        return float(fresh)
    moved = value * FACTORS[up]
    if hyper.grid is not None:
        steps = round((moved - value) / hyper.grid) or (1 if up else -1)
        moved = value + steps * hyper.grid
    return float(min(max(moved, hyper.low), hyper.top))
