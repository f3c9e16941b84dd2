"""The one loop: train φ, tune λ, evaluate, keep the best, checkpoint, stop, resume. It touches no array.

Every method of the toolkit is a schedule of it. Global hypernetwork (Lorraine & Duvenaud 2018, Alg. 2): warm-up
only, then `tune_after`. Local (Alg. 3, 4) and STN (MacKay et al. 2019, Alg. 1): alternate. Fixed λ: tune nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.errors import Exhausted, NonFiniteError, start_again
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.runs.team import Team
from hyperopt_hn.schedule import Alternation
from hyperopt_hn.stopping import Improvement, Interrupted, signals


class Log(Protocol):
    """What `alternate` asks of a run's directory; `RunLog` is one; `nn.distributed` has one for many ranks."""

    @property
    def path(self) -> Path: ...

    @property
    def resumed(self) -> dict[str, Any] | None:
        """The state to go on from, None for a fresh run."""
        ...

    @property
    def team(self) -> Team:
        """How the processes that share the run stop together."""
        ...

    def seconds(self) -> float: ...

    def cpu_seconds(self) -> float: ...

    def record(self, entry: Mapping[str, Any]) -> None: ...

    def checkpoint(self, state: Mapping[str, Any]) -> None: ...

    def best(self, state: Mapping[str, Any]) -> None: ...

    def finish(self, result: Mapping[str, Any], arrays: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """Why a run stopped (one word and a sentence), after how many steps, and its best and final record."""

    reason: str
    sentence: str
    steps: int
    best: Mapping[str, Any]
    final: Mapping[str, Any]


def alternate(tuner: Tuner, alternation: Alternation, log: Log, progress: Progress | None = None) -> Outcome:
    """Run a tuner through its schedule, from `log`'s checkpoint if it has one, and finish the run's directory.

    Raises NonFiniteError (the last checkpoint stays) and Interrupted (a checkpoint of this very step is written). Of
    several processes none returns before the run's files are written.
    """
    try:
        run = _Run(tuner, alternation, log)
        run.progress = progress or Progress("run", alternation.total, run.done)
        try:
            with signals(log.team.grace) as stop:
                outcome = run.to_the_end(stop)
        finally:
            run.progress.close()
        log.finish(asdict(outcome), tuner.arrays())
        log.team.meet()
    finally:
        log.close()
    return outcome


class _Run:
    """The loop's own state: how far it is, and the best record so far."""

    progress: Progress

    def __init__(self, tuner: Tuner, alternation: Alternation, log: Log) -> None:
        self.tuner, self.alternation, self.log = tuner, alternation, log
        self.done, self.patience = 0, Improvement()
        self.best: dict[str, Any] = {}
        self.final: dict[str, Any] = {}
        self.losses: dict[str, float] = {}
        state = log.resumed
        if state is not None:
            try:
                tuner.load_state(state["tuner"])
                mine = state["loop"]
                self.done, self.best, self.final = mine["done"], mine["best"], mine["final"]
                self.losses = mine["losses"]
                self.patience = Improvement(self.best["valid_loss"], mine["stale"]) if self.best else Improvement()
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise start_again(f"the checkpoint in {log.path} does not fit this experiment ({error})") from None

    def to_the_end(self, stop: threading.Event) -> Outcome:
        plan = self.alternation
        if self.done == 0 and not self.final:
            self.save(checkpoint=True, best=False)  # before a search asks for its first trial
            self.save(checkpoint=True, best=self.evaluate())
        while self.done < plan.total:
            reason = self.stopped()
            if reason:
                return Outcome(*reason, self.done, self.best, self.final)
            try:
                self.step()
            except Exhausted as why:
                return self.exhausted(str(why))
            due = plan.evaluates(self.done)
            improved = self.evaluate() if due else False
            regular = due if plan.checkpoint_every == 0 else self.done % plan.checkpoint_every == 0
            stopping = self.log.team.stops(stop.is_set())
            self.save(checkpoint=regular or stopping, best=improved)
            if stopping and self.done < plan.total:
                self.log.team.meet()
                raise Interrupted(f"stopped after step {self.done}; saved in {self.log.path}")
        return Outcome("finished", "all steps are done", self.done, self.best, self.final)

    def step(self) -> None:
        kind = self.alternation.kind(self.done)
        try:
            losses = self.tuner.train_step() if kind == "train" else self.tuner.tune_step()
        except NonFiniteError as error:  # a tuner that looks before it steps
            raise NonFiniteError(f"{error}; the last good checkpoint is in {self.log.path}") from None
        for name, value in losses.items():
            if not math.isfinite(value):
                self.diverged(name, value)
        self.losses.update(losses)
        self.done += 1
        self.progress.step()

    def evaluate(self) -> bool:
        """Record an evaluation; whether it is the best so far."""
        metrics = dict(self.tuner.evaluate())
        hypers = {name: _summary(value) for name, value in self.tuner.hypers().items()}
        losses = {name: value for name, value in metrics.items() if name.endswith("loss")}
        for name, value in [*losses.items(), *hypers.items()]:
            if not all(math.isfinite(x) for x in (value.values() if isinstance(value, Mapping) else (value,))):
                self.diverged(name, value)
        known = {name: _finite(value) for name, value in metrics.items()}
        plan = self.alternation
        kind = plan.kind(max(self.done - 1, 0)) if plan.total else "train"
        self.final = {"step": self.done, "phase": kind, **self.losses, **known, "hypers": hypers}
        self.log.record(self.final)
        self.progress.evaluated(self.final)
        improved = self.patience.improved(metrics["valid_loss"])
        self.best = self.final if improved else self.best
        return improved

    def stopped(self) -> tuple[str, str] | None:
        plan = self.alternation
        if self.patience.over(plan.patience):
            return "patience", f"no better validation loss in {plan.patience} evaluations"
        if plan.max_seconds and self.done == self.final["step"] and self.log.seconds() >= plan.max_seconds:
            return "time", f"{plan.max_seconds:g} seconds are over"
        return None

    def exhausted(self, why: str) -> Outcome:
        """The end of a tuner that has nothing left to do."""
        self.save(checkpoint=True, best=self.evaluate() if self.done != self.final["step"] else False)
        return Outcome("exhausted", why, self.done, self.best, self.final)

    def save(self, checkpoint: bool, best: bool) -> None:
        """Write what is due; the tuner's state, which may be large, is taken once for both files."""
        if not (checkpoint or best):
            return
        state = self.tuner.state()
        if best:
            self.log.best(state)
        if checkpoint:
            mine = {"done": self.done, "best": self.best, "final": self.final, "stale": self.patience.stale}
            self.log.checkpoint({"loop": {**mine, "losses": self.losses}, "tuner": state})

    def diverged(self, name: str, value: Any) -> None:
        where = ", ".join(f"{key}={_summary(x)}" for key, x in list(self.tuner.hypers().items())[:8])
        raise NonFiniteError(
            f"{name} became {value} at step {self.done + 1} with {where}; the last good checkpoint is in "
            f"{self.log.path}: lower the learning rates or the bounds"
        )


def _finite(value: Any) -> Any:
    """A metric, or metrics by name, None in place of what is not finite."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    return value if math.isfinite(value) else None


def _summary(value: Any) -> Any:
    if isinstance(value, list):
        return {"min": min(value), "mean": math.fsum(value) / len(value), "max": max(value)}
    return value
