"""One run of a task: retrained at fixed values (the truth), or tuning itself in one of several ways."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from deep.study.plain_training import RATE, PlainTraining, loss_on
from deep.study.tasks import Pair, Splits, StudyTask
from hyperopt_hn import HyperSpace
from hyperopt_hn.nn import (
    STN,
    Batches,
    Delta,
    Hypers,
    Implicit,
    Optimizers,
    Schedulers,
    Split,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    convert,
    general_parameters,
    response_parameters,
)
from hyperopt_hn.nn.layers.affine_response import Gain
from hyperopt_hn.nn.layers.kinds import Form
from hyperopt_hn.nn.responses import Response
from hyperopt_hn.nn.setup.narrowing import Narrowing

LATE = 0.8
"""Losses are means over the evaluations after this share of the steps."""
EVERY = 50
"""Steps between them."""


@dataclass(frozen=True)
class Way:
    """A way of self-tuning. `rate`: the response's own Adam; 0: it is trained by the network's optimizer."""

    kind: str = "split"
    form: Form = "full"
    every: int = 2
    groups: int = 1
    share: float = 1.0
    eager: int = 0
    linear: bool = False
    tune_every: int = 1
    rate: float = 3e-3
    spread: float = 2.0
    box: float = 3.5
    position: bool = True
    lr_lam: float = 0.03
    decades: float = math.inf
    """Most decades that a spread of a hyperparameter on a log scale reaches, measured in the middle of its range."""
    narrowing: bool = False
    """Whether the spread narrows to so many decades, instead of beginning there."""
    gate: bool = False
    rest: float = 0.0
    """Share of the steps at the end in which λ rests."""

    def response(self) -> Response:
        """What the tuner is given."""
        if self.kind == "split":
            return Split(
                every=self.every, eager=self.eager, share=self.share, groups=self.groups, linear=self.linear,
                position=self.position, lr=self.rate or RATE,
            )  # fmt: skip
        if self.kind == "implicit":
            return Implicit()
        return Delta(linear=self.linear) if self.kind == "delta" else STN(centred=self.kind == "centred")


def plain_loss(task: StudyTask, splits: Splits, seed: int, values: Mapping[str, float]) -> list[float]:
    """Validation and test loss of the plain network trained at fixed values, means over the late evaluations."""
    training, late = PlainTraining(task, splits, seed, values), []
    for step in range(EVERY, task.steps + 1, EVERY):
        training.train(EVERY)
        if step > LATE * task.steps:
            late.append([loss_on(task, training.network, splits, split) for split in (1, 2)])
    return [math.fsum(column) / len(late) for column in zip(*late, strict=True)]


def grid_of(task: StudyTask, splits: Splits, seed: int) -> list[dict[str, Any]]:
    """The retrained truth at every point of the task's grid."""
    return [{"values": dict(point), "losses": plain_loss(task, splits, seed, point)} for point in task.grid]


def tuned(task: StudyTask, splits: Splits, seed: int, way: Way) -> dict[str, Any]:
    """A self-tuning run: late losses as trained, λ̂, losses retrained there, gain, processor seconds."""
    started = time.process_time()
    tuner, hypers = tuner_of(task, splits, seed, way)
    late, path = [], []
    for step in stepping(tuner, task, way):
        if step % EVERY == 0:
            found = tuner.evaluate()
            path.append(hypers.lam.detach().tolist())
            if step > LATE * task.steps:
                late.append((found["valid_loss"], found["test_loss"]))
    seconds = time.process_time() - started
    values = {name: float(value) for name, value in tuner.hypers().items() if isinstance(value, (int, float))}
    return {
        "way": asdict(way),
        "trained": [math.fsum(column) / len(late) for column in zip(*late, strict=True)],
        "values": values,
        "retrained": plain_loss(task, splits, seed, values),
        "gain": found.get("gain", {}),
        "edge": hypers.at_the_edge(),
        "path": path,
        "seconds": seconds,
    }


def stepping(tuner: TorchTuner, task: StudyTask, way: Way) -> Iterator[int]:
    """Train, and tune at a way's cadence after a seventh of the run; the number of each step when it is done."""
    for step in range(1, task.steps + 1):
        tuner.train_step()
        resting = step > (1 - way.rest) * task.steps
        if step > task.steps // 7 and step % way.tune_every == 0 and not resting:
            tuner.tune_step()
        yield step


def tuner_of(task: StudyTask, splits: Splits, seed: int, way: Way, test: bool = True) -> tuple[TorchTuner, Hypers]:
    """The tuner of a way and its λ̂; without `test` its evaluations leave the test data alone."""
    torch.manual_seed(seed)
    space = HyperSpace([replace(h, box=way.box) for h in task.hypers])
    model = task.net()
    if way.kind != "implicit":
        gain: Gain = "stn" if way.kind == "stn" else "delta"
        model = convert(model, space, dropout=task.rates, gain=gain, form=way.form)
    hypers = Hypers(space, spread=way.spread, decades=way.decades)
    problem = TorchProblem(
        task.train_loss, task.valid_loss, Batches.of(splits[0], task.batch, seed),
        Batches.of(splits[1], 100, seed + 5), Batches.of(splits[2], 100) if test else None,
    )  # fmt: skip
    lam = torch.optim.Adam([hypers.lam], way.lr_lam)
    if way.rate:
        own = torch.optim.Adam(response_parameters(model), way.rate)
        optimizers = Optimizers(torch.optim.Adam(general_parameters(model), RATE), lam, response=own)
    else:
        optimizers = Optimizers(torch.optim.Adam(model.parameters(), RATE), lam)
    if way.narrowing:
        narrowing = Narrowing(hypers, way.spread, way.decades)
        narrowing.begin(task.steps)
        optimizers = replace(optimizers, schedulers=Schedulers(train=[narrowing]))
    config = TunerConfig(seed=seed, gain=0.0 if way.kind == "implicit" else 0.1, gate=way.gate)
    return TorchTuner(model, hypers, problem, optimizers, way.response(), config), hypers


__all__ = ["Pair", "Way", "grid_of", "plain_loss", "tuned", "tuner_of"]
