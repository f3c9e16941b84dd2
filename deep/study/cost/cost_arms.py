"""The arms: each trains networks until the budget is spent, and offers them to the ledger by validation loss.

    fixed, hand          plain training at the start values, or at those of a textbook; with one seed after another
    split, gated, ...    a self-tuning run, then plain training at the values it ended with; again with a new seed
    split-replay         a self-tuning run, then plain training along its course
    random, tpe, gp      plain trainings at proposed values; the first at the start values
    asha                 the same at random, a third kept after a ninth and a third of the steps (Li et al. 2020)
    pbt                  four members, the worst replaced by a changed copy of the best (Jaderberg et al. 2017)

All networks are evaluated every 50 steps (of short trainings five times), and the best evaluation counts: early
stopping for all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np

from deep.compare.population import explored
from deep.study.cost.ledger import Ledger, Spent
from deep.study.plain_training import PlainTraining, loss_on
from deep.study.runs import EVERY, stepping, tuner_of
from deep.study.tasks import Splits, StudyTask
from deep.study.ways import WAYS
from hyperopt_hn import HyperSpace
from hyperopt_hn.search.proposals import Search, initial, searchable
from hyperopt_hn.search.trial import Trial

TUNED = {
    "split": "default",
    "gated": "default-gated",
    "stn": "stn",
    "stn-centred": "stn-centred",
    "delta": "delta",
    "implicit": "implicit",
}
"""Self-tuning arm -> its way."""
STRIDE = 1000
"""Between the seeds of an arm's trainings."""
MEMBERS, ETA, STARTUP = 4, 3, 3


class Arm:
    """One arm on one task and seed."""

    def __init__(self, task: StudyTask, splits: Splits, seed: int, ledger: Ledger) -> None:
        self.task, self.splits, self.seed, self.ledger = task, splits, seed, ledger
        self.space = searchable(HyperSpace(task.hypers))
        self.runs: list[dict[str, Any]] = []
        self.every = evaluated_every(task)

    def trained(self, training: PlainTraining, until: int, how: str) -> float:
        """Train on to a step, offering each evaluation; the best validation loss on the way."""
        best = math.inf
        while training.steps < until:
            loss = training.advance(min(self.every, until - training.steps))
            self.ledger.offer(loss, training.values, how, training.copy)
            best = min(best, loss)
        return best

    def start(self, number: int, values: Mapping[str, float]) -> PlainTraining:
        """The plain training of that number, untrained."""
        return PlainTraining(self.task, self.splits, self.seed + STRIDE * number, values)

    def constant(self, values: Mapping[str, float]) -> None:
        """The same values with one seed after another."""
        for number in count():
            self.trained(self.start(number, values), self.task.steps, "plain")

    def search(self, method: str) -> None:
        """Plain trainings at proposed values."""
        search = Search(self.space, method, self.seed, start_at_init=True, startup=STARTUP)
        trials: list[Trial] = []
        for number in count():
            with self.ledger.paused(proposing=True):
                values = search.ask(trials, 1)[0]
            trials.append(Trial(values, self.trained(self.start(number, values), self.task.steps, "plain")))

    def asha(self) -> None:
        """Asynchronous successive halving with one worker: promote where a rung has three times as many, else draw."""
        rungs = [math.ceil(self.task.steps / ETA**k) for k in (2, 1, 0)]
        done: list[dict[int, float]] = [{} for _ in rungs]
        paused: dict[int, PlainTraining] = {}
        for draw in count():
            number, rung = self._promoted(done)
            if number is None:
                number, rung = draw, 0
                values = (
                    initial(self.space) if draw == 0 else self.space.sample(np.random.default_rng([self.seed, draw]))
                )
                paused[number] = self.start(number, values)
            done[rung][number] = self.trained(paused[number], rungs[rung], "plain")

    def pbt(self) -> None:
        """Populations, one after another, each trained as long as a plain network."""
        for number in count():
            draws = [np.random.default_rng([self.seed, number, member]) for member in range(MEMBERS)]
            values = [initial(self.space), *(self.space.sample(rng) for rng in draws[1:])]
            members = [self.start(MEMBERS * number + m, each) for m, each in enumerate(values)]
            for until in range(self.every, self.task.steps + 1, self.every):
                losses = [self.trained(member, until, "plain") for member in members]
                worst, best = int(np.argmax(losses)), int(np.argmin(losses))
                changed = explored(members[best].values, self.space, 0.25, draws[worst])
                members[worst].adopt(members[best], changed)

    def tuning(self, way: str, replay: bool) -> None:
        """A self-tuning run, then a plain training from the same seed at its last values or along its course."""
        for number in count():
            course = self._tuned(way, self.seed + STRIDE * number)
            training = self.start(number, course[0] if replay else course[-1])
            best = math.inf
            for k in range(len(course)):
                if replay:
                    training.change(course[k])
                until = min((k + 1) * self.every, self.task.steps)
                best = min(best, self.trained(training, until, "replayed" if replay else "retrained"))
            self.runs[-1]["after"] = best

    def _tuned(self, way: str, seed: int) -> list[dict[str, float]]:
        began = self.ledger.spent
        chosen = WAYS[way]
        tuner, _ = tuner_of(self.task, self.splits, seed, chosen, test=False)
        course, losses = [], []
        for step in stepping(tuner, self.task, chosen):
            if step % self.every and step < self.task.steps:
                continue
            found = tuner.evaluate()
            values = {name: float(value) for name, value in tuner.hypers().items()}  # type: ignore[arg-type]
            course.append(values)
            losses.append(found["valid_loss"])
            self.ledger.offer(losses[-1], values, "tuned", tuner.collapsed)
        gain = {name: float(t) for name, t in found.get("gain", {}).items()}
        cost = self.ledger.spent - began
        self.runs.append(
            {"values": course[-1], "trained": min(losses), "last": losses[-1], "gain": gain, "units": cost}
        )
        return course

    def _promoted(self, done: list[dict[int, float]]) -> tuple[int | None, int]:
        """(number of a training, the rung it goes to), or (None, 0) where none may go up."""
        for rung in range(len(done) - 1, 0, -1):
            below = sorted(done[rung - 1], key=lambda number: done[rung - 1][number])
            for number in below[: len(below) // ETA]:
                if number not in done[rung]:
                    return number, rung
        return None, 0


ARMS: dict[str, Callable[[Arm], None]] = {
    "fixed": lambda arm: arm.constant(arm.task.start),
    "hand": lambda arm: arm.constant(arm.task.hand),
    **{name: (lambda arm, way=way: arm.tuning(way, replay=False)) for name, way in TUNED.items()},  # type: ignore[misc]
    "split-replay": lambda arm: arm.tuning(TUNED["split"], replay=True),
    **{name: (lambda arm, name=name: arm.search(name)) for name in ("random", "tpe", "gp")},  # type: ignore[misc]
    "asha": Arm.asha,
    "pbt": Arm.pbt,
}


def outcome(task: StudyTask, seed: int, name: str, budgets: tuple[float, ...]) -> dict[str, Any]:
    """One cell: the unit measured, the arm run until its budget is spent, the test data looked at behind that."""
    splits = task.data(seed)
    ledger = Ledger(_unit(task, splits, seed), budgets)
    arm = Arm(task, splits, seed, ledger)
    with suppress(Spent):
        ARMS[name](arm)
    found = ledger.record(lambda network: loss_on(task, network, splits, 2))
    return {"task": task.name, "seed": seed, "arm": name, "steps": task.steps, **found, "runs": arm.runs}


def applies(name: str, task: StudyTask) -> bool:
    """Whether an arm can tune a task's hyperparameters: `implicit` penalties alone."""
    return name != "implicit" or not task.rates


def _unit(task: StudyTask, splits: Splits, seed: int) -> float:
    """Processor seconds of one plain training with its evaluations, at the start values."""
    PlainTraining(task, splits, seed, task.start).advance(30)
    began = time.process_time()
    training = PlainTraining(task, splits, seed, task.start)
    every = evaluated_every(task)
    for _ in range(0, task.steps, every):
        training.advance(every)
    return time.process_time() - began


def evaluated_every(task: StudyTask) -> int:
    """Training steps between evaluations: 50, less in a training so short that there would not be five."""
    return min(EVERY, max(1, task.steps // 5))
