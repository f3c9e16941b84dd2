"""Search as a `Tuner`: one fixed-λ network after another, each trained from scratch and judged by validation.

A step is one optimizer step of the present trial, so that a search and a self-tuning network spend one budget, in
steps or in seconds. A trial's score is its smallest validation loss over its own evaluations: every `evaluate_every`
of its steps, whenever the loop around it evaluates.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.errors import Exhausted, NonFiniteError, UserError
from hyperopt_hn.nn import OverTuningWarning
from hyperopt_hn.search.study import Study
from hyperopt_hn.search.trial import Asked, plain_values, values_of
from hyperopt_hn.stopping import Improvement

KIND = "deep.compare.trials.Trials"
Build = Callable[[Mapping[str, Any], int], Tuner]
"""(natural values of the searched hyperparameters, the trial's number) -> a new tuner that holds them.

It seeds every random stream that its steps draw from, torch's global one too, so that a trial is a function of them.
"""


@dataclass(frozen=True)
class TrialPlan:
    """How long a trial may take."""

    steps: int
    """Steps after which it ends."""
    patience: int
    """Evaluations without improvement after which it ends; 0: never."""
    evaluate_every: int
    """Its steps between evaluations; it is evaluated at its end too."""


@dataclass
class Best:
    """The best state so far by validation loss: its metrics and its hyperparameters."""

    metrics: dict[str, float] = field(default_factory=dict)
    hypers: dict[str, Any] = field(default_factory=dict)

    def offer(self, metrics: Mapping[str, float], hypers: Mapping[str, Any]) -> None:
        """Keep these if they are better."""
        if not self.metrics or metrics["valid_loss"] < self.metrics["valid_loss"]:
            self.metrics, self.hypers = dict(metrics), dict(hypers)


@dataclass
class _Running:
    """The present trial."""

    asked: Asked
    tuner: Tuner
    steps: int = 0
    patience: Improvement = field(default_factory=Improvement)
    last: float = math.inf
    over: bool = False


class Trials:
    """Trials one after another. Its `state` holds the study and the whole present trial: resuming is exact."""

    def __init__(self, study: Study, build: Build, plan: TrialPlan) -> None:
        self.study, self.plan = study, plan
        self._build = build
        self._running: _Running | None = None
        self._best = Best()
        self._steps = 0
        self._lengths: list[int] = []

    def train_step(self) -> dict[str, float]:
        """One step of the present trial, or the first of the next; Exhausted if nothing is left to try.

        A trial that diverges, or whose learning rate has decayed to nothing, is over, its score what it had reached
        (none: it failed); the search goes on.
        """
        trial = self._trial()
        self._steps += 1
        trial.steps += 1
        try:
            report = dict(trial.tuner.train_step())
        except (NonFiniteError, Exhausted):
            self._end(trial)
            return {}
        if not all(math.isfinite(loss) for loss in report.values()):
            self._end(trial)
            return {}
        if trial.steps % self.plan.evaluate_every == 0 or trial.steps >= self.plan.steps:
            self._judge(trial)
        return report

    def tune_step(self) -> dict[str, float]:
        """Nothing is tuned."""
        return {}

    def evaluate(self) -> dict[str, float]:
        """The best state so far over all trials, how many are finished, and the present trial's latest loss."""
        if not self._best.metrics:
            self._look()
        loss = {} if self._running is None else {"trial_loss": self._running.last}
        finite = {name: value for name, value in loss.items() if math.isfinite(value)}
        return {**self._best.metrics, "trials": len(self.study.trials), **finite, "train_steps": self._steps}

    def hypers(self) -> Mapping[str, Any]:
        """The best state's values."""
        return self._best.hypers if self._best.metrics else self._trial().tuner.hypers()

    def state(self) -> dict[str, Any]:
        """The trials so far, and the present one with all that its next step depends on."""
        return {
            "kind": KIND,
            "study": self.study.state(),
            "best": {"metrics": dict(self._best.metrics), "hypers": dict(self._best.hypers)},
            "steps": self._steps,
            "lengths": list(self._lengths),
            "running": None if self._running is None else _packed(self._running),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the very next step."""
        if state.get("kind") != KIND:
            raise UserError("this is no checkpoint of a search")
        self.study.load_state(state["study"])
        self._best = Best(**state["best"])
        self._steps, self._lengths = state["steps"], list(state["lengths"])
        running = state["running"]
        self._running = None
        if running is not None:
            asked = Asked(running["number"], values_of(running["values"]))
            tuner = self._build(asked.values, asked.number)
            tuner.load_state(running["tuner"])
            self._running = _Running(
                asked,
                tuner,
                running["steps"],
                Improvement(_number(running["best"]), running["stale"]),
                _number(running["last"]),
                running["over"],
            )

    def arrays(self) -> dict[str, np.ndarray]:
        """trial_losses (N,) with NaN where one failed, trial_steps (N,), and trial_<hyperparameter> (N, ...)."""
        trials = self.study.trials
        names = sorted({name for trial in trials for name in trial.values})
        found = {f"trial_{name}": np.array([trial.values[name] for trial in trials]) for name in names}
        losses = np.array([trial.loss for trial in trials], dtype=float)
        return {"trial_losses": losses, "trial_steps": np.array(self._lengths, dtype=int), **found}

    def _trial(self) -> _Running:
        """The present trial; the next one if that is over or there was none."""
        if self._running is None or self._running.over:
            asked = self.study.ask()
            if asked is None:
                raise Exhausted(f"all {len(self.study.trials)} points are visited; give more --grid-levels to go on")
            self._running = None  # before the next is built: two networks need twice the memory
            self._running = _Running(asked, self._build(asked.values, asked.number))
        return self._running

    def _look(self) -> None:
        """Judge the first network before its first step, which no score counts; then make it anew.

        Made anew because a look moves learning-rate schedules, and a trial must not depend on who looked.
        """
        trial = self._trial()
        metrics = looked(trial.tuner)
        if not math.isfinite(metrics["valid_loss"]):
            raise NonFiniteError("the validation loss of an untrained network is not finite; check data and model")
        self._best.offer(metrics, trial.tuner.hypers())
        trial.tuner = self._build(trial.asked.values, trial.asked.number)

    def _judge(self, trial: _Running) -> None:
        metrics = looked(trial.tuner)
        trial.last = metrics["valid_loss"]
        if not all(math.isfinite(value) for value in metrics.values()):
            self._end(trial)
            return
        trial.patience.improved(trial.last)
        self._best.offer(metrics, trial.tuner.hypers())
        if trial.patience.over(self.plan.patience) or trial.steps >= self.plan.steps:
            self._end(trial)

    def _end(self, trial: _Running) -> None:
        trial.over = True
        self._lengths.append(trial.steps)
        self.study.tell(trial.asked, trial.patience.best)


def looked(tuner: Tuner) -> dict[str, float]:
    """A tuner's evaluation without its own step count, and without a warning of over-tuning: nothing is tuned here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverTuningWarning)
        return {name: value for name, value in tuner.evaluate().items() if name != "train_steps"}


def _packed(trial: _Running) -> dict[str, Any]:
    return {
        "number": trial.asked.number,
        "values": plain_values(trial.asked.values),
        "steps": trial.steps,
        "best": _finite(trial.patience.best),
        "last": _finite(trial.last),
        "stale": trial.patience.stale,
        "over": trial.over,
        "tuner": trial.tuner.state(),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _number(saved: float | None) -> float:
    return math.inf if saved is None else saved
