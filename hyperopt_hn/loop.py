"""The one loop: train φ, tune λ, evaluate, keep the best, checkpoint, stop, resume. It touches no array.

Every method of the toolkit is a schedule of it. Global hypernetwork (Lorraine & Duvenaud 2018, Alg. 2): warm-up
only, then `tune_after`. Local (Alg. 3, 4) and STN (MacKay et al. 2019, Alg. 1): alternate. Fixed λ: tune nothing.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.config import check, described, option
from hyperopt_hn.errors import Exhausted, NonFiniteError, UserError, in_script, on_command_line
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.runs.team import Team


@described
@dataclass(frozen=True)
class Alternation:
    """A schedule: a pure function from the number of steps done to the kind of the next one."""

    steps: int = option(1000, "training steps in all, warm-up included", unit="train steps", least=1)
    warmup: int = option(0, "training steps before the first tuning step", unit="train steps", least=0)
    train_per_cycle: int = option(1, "training steps in a cycle", unit="train steps", least=1)
    tune_per_cycle: int = option(1, "tuning steps in a cycle; 0 keeps λ fixed", unit="tune steps", least=0)
    rest: int = option(0, "training steps at the end in which λ rests", unit="train steps", least=0)
    tune_after: int = option(0, "tuning steps after the last training step (Alg. 2)", unit="tune steps", least=0)
    evaluate_every: int = option(100, "steps of either kind between evaluations", unit="steps", least=1)
    evaluate_train: float = option(
        0.0, "evaluate whenever so many training steps are done, as at epoch ends; 0: by evaluate_every",
        unit="train steps", least=0,
    )  # fmt: skip
    checkpoint_every: int = option(0, "steps between checkpoints; 0: at every evaluation", unit="steps", least=0)
    patience: int = option(0, "evaluations without improvement before stopping; 0: never", unit="evaluations", least=0)
    max_seconds: float = option(0.0, "stop at the first evaluation after so long; 0: no limit", unit="s", least=0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def total(self) -> int:
        """Total steps, training and tuning."""
        return self.steps + self._cycles * self.tune_per_cycle + self.tune_after

    @property
    def _cycles(self) -> int:
        return max(self.steps - self.warmup - self.rest, 0) // self.train_per_cycle

    def kind(self, done: int) -> str:
        """ "train" or "tune": what comes after `done` steps of either kind."""
        if done >= self.total - self.tune_after:
            return "tune"
        if done < self.warmup:
            return "train"
        cycle = self.train_per_cycle + self.tune_per_cycle
        whole = self._cycles * cycle
        place = done - self.warmup
        return "train" if place >= whole or place % cycle < self.train_per_cycle else "tune"

    def trained(self, done: int) -> int:
        """Training steps among the first `done` steps."""
        if done <= self.warmup:
            return done
        cycle = self.train_per_cycle + self.tune_per_cycle
        cycles = max(self.steps - self.warmup, 0) // self.train_per_cycle
        behind = done - self.warmup
        whole, rest = divmod(min(behind, cycles * cycle), cycle)
        after = max(behind - cycles * cycle, 0)
        return min(self.warmup + whole * self.train_per_cycle + min(rest, self.train_per_cycle) + after, self.steps)

    def evaluates(self, done: int) -> bool:
        """Whether an evaluation follows after `done` steps: regularly, and at the end.

        By `evaluate_train` it is the last moment before the next training step, so that tuning steps belong before.
        """
        if done == self.total:
            return True
        if not self.evaluate_train or done > self.total - self.tune_after:
            return done % self.evaluate_every == 0
        trained = self.trained(done)
        if trained == 0 or self.kind(done) == "tune":
            return False
        now, before = (math.floor(count / self.evaluate_train + 1e-9) for count in (trained, trained - 1))
        return now > before


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


@dataclass
class Improvement:
    """The smallest loss so far, and for how many evaluations there was no smaller one."""

    best: float = math.inf
    stale: int = 0

    def improved(self, loss: float) -> bool:
        """Note a loss; whether it is the smallest so far."""
        better = loss < self.best
        self.best, self.stale = (loss, 0) if better else (self.best, self.stale + 1)
        return better

    def over(self, limit: int) -> bool:
        """Whether `limit` evaluations in a row brought nothing better; 0 is no limit."""
        return 0 < limit <= self.stale


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM, SIGUSR1: the run was saved; the message says where and how to go on (`typed`: on a shell)."""

    def __init__(self, saved: str) -> None:
        super().__init__(f"{saved}; go on with {in_script('resume')}")
        self.typed = f"{saved}; go on with {on_command_line('resume')}"


def alternate(tuner: Tuner, alternation: Alternation, log: Log, progress: Progress | None = None) -> Outcome:
    """Run a tuner through its schedule, from `log`'s checkpoint if it has one, and finish the run's directory.

    Raises NonFiniteError (the last checkpoint stays) and Interrupted (a checkpoint of this very step is written). Of
    several processes none returns before the run's files are written.
    """
    try:
        run = _Run(tuner, alternation, log)
        run.progress = progress or Progress("run", alternation.total, run.done)
        try:
            with _signals(log.team.grace) as stop:
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
                raise _unfit(log.path, str(error)) from None

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


def _unfit(path: Path, why: str) -> UserError:
    return UserError.spelled(
        lambda say: f"the checkpoint in {path} does not fit this experiment ({why}); use {say('overwrite')}"
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


@contextmanager
def _signals(grace: float) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, SIGTERM or SIGUSR1 sets; one more, after `grace` seconds, interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    first = -math.inf

    def ask(number: int, frame: Any) -> None:
        nonlocal first
        if stop.is_set() and time.monotonic() - first >= grace:
            raise KeyboardInterrupt
        if not stop.is_set():
            first = time.monotonic()
            stop.set()

    # A handler that was not set from Python cannot be put back: the host that set it keeps it.
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    warning = getattr(signal, "SIGUSR1", None)  # what batch systems send ahead of the time limit; Windows has none
    if warning is not None and signal.getsignal(warning) is signal.SIG_DFL:
        ours.append(warning)
    old = {number: signal.signal(number, ask) for number in ours}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
