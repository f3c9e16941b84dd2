"""From settings to a tuner: optimizers, decay, schedule. The same for CNNs, LSTMs and their baselines."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import MultiStepLR

from deep.machine import Machine, prepared
from hyperopt_hn import Alternation, HyperSpace
from hyperopt_hn.config import check, option
from hyperopt_hn.course import Course
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import (
    STN,
    Delta,
    Hypers,
    Optimizers,
    Schedulers,
    Split,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    general_parameters,
)
from hyperopt_hn.nn.layers.kinds import Form
from hyperopt_hn.nn.responses import Response
from hyperopt_hn.nn.setup.nonmonotone import NonMonotone


@dataclass(frozen=True)
class Method:
    """How λ is tuned (MacKay et al. 2019; Bae & Grosse 2020)."""

    response: str = option("stn", "model of the best response", choices=("stn", "delta", "split"))
    respond_every: int = option(
        2, "training steps for each step of split's response, after the warm-up", unit="train steps", least=1
    )
    form: Form = option("full", "form of the response's weights", choices=("full", "lowrank", "gated"))
    lr_response: float = option(1e-3, "rate of the Adam of split's response", above=0)
    box: float = option(0.0, "how far raw λ may go from the middle of its range; 0: no box", unit="raw λ", least=0)
    hyper_input: str = option(
        "raw", "what an STN's response sees: raw λ, its values, or λ - λ̂", choices=("raw", "natural", "centred")
    )
    tune_spreads: bool = option(False, "tune the perturbations' spreads too")
    tau: float = option(0.0, "weight of the spreads' entropy, if they are tuned", unit="nats", least=0)
    hyper_optimizer: str = option("adam", "optimizer of λ and spreads", choices=("adam", "rmsprop"))
    lr_lam: float = option(3e-3, "learning rate of λ", above=0)
    lr_rho: float = option(3e-3, "learning rate of the spreads", above=0)

    def __post_init__(self) -> None:
        check(self)
        if self.hyper_input != "raw" and self.response != "stn":
            raise UserError(f"--hyper-input {self.hyper_input} is for --response stn; {self.response} is fed λ - λ̂")

    @property
    def gain(self) -> Literal["stn", "delta"]:
        """How the response starts: near zero as published for an STN, else at zero."""
        return "stn" if self.response == "stn" else "delta"

    def made(self, eager: int) -> Response:
        """The response; split's takes a step in each of the first `eager` training steps."""
        if self.response == "split":
            return Split(self.respond_every, eager, lr=self.lr_response)
        if self.response == "delta":
            return Delta()
        return STN(natural=self.hyper_input == "natural", centred=self.hyper_input == "centred")


@dataclass(frozen=True)
class Descent:
    """How φ is trained: SGD."""

    batch: int = option(128, "examples in a training batch (of each process)", unit="examples", least=1)
    lr: float = option(0.01, "learning rate of φ", above=0)
    momentum: float = option(0.9, "momentum of φ's SGD", least=0, most=1)
    weight_decay: float = option(0.0, "L2 penalty on φ, never tuned", least=0)
    clip: float = option(0.0, "largest norm of φ's gradient; 0: no clipping", least=0)
    decay: str = option("nonmono", "when φ's rate decays", choices=("none", "nonmono", "milestones"))
    window: int = option(60, "evaluations that the non-monotone rule looks back over", unit="evaluations", least=1)
    milestones: tuple[int, ...] = option((60, 120, 160), "epochs after which the rate decays", unit="epochs")
    factor: float = option(0.1, "what a decay multiplies the rate by", above=0, most=1)
    least_lr: float = option(0.0, "stop once the rate has decayed below this; 0: never", least=0)

    def __post_init__(self) -> None:
        check(self)
        if any(late <= early for early, late in itertools.pairwise((0, *self.milestones))):
            given = ",".join(map(str, self.milestones))
            raise UserError(f"--milestones {given}: give epochs above 0 that rise, such as 60,120,160")


@dataclass(frozen=True)
class Span:
    """How long, and in what order."""

    epochs: int = option(200, "passes over the training split", unit="epochs", least=1)
    warmup_epochs: float = option(5.0, "epochs before the first tuning step", unit="epochs", least=0, most=1e6)
    train_per_cycle: int = option(2, "training steps in a cycle", unit="train steps", least=1)
    tune_per_cycle: int = option(1, "tuning steps in a cycle", unit="tune steps", least=1)
    evaluations: float = option(1.0, "evaluations in an epoch", least=1e-6)
    patience: int = option(0, "evaluations without improvement before stopping; 0: never", unit="evaluations", least=0)
    max_steps: int = option(
        0, "stop after so many total steps (training and tuning); 0: no limit", unit="steps", least=0
    )
    max_seconds: float = option(0.0, "stop at the first evaluation after so long; 0: no limit", unit="s", least=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Recipe:
    """All that makes a tuner of a model and a problem."""

    method: Method
    descent: Descent
    machine: Machine
    seed: int = 0
    warmup_epochs: float = 0.0
    """Epochs before the first tuning step, in which a split's response takes a step in every training step."""
    course: Course | None = None
    """Values of hyperparameters that are not tuned, by training step."""


def alternation(span: Span, per_epoch: int, tunes: bool) -> Alternation:
    """The schedule for epochs of `per_epoch` training steps; without anything to tune it only trains.

    `max_steps` counts total steps (training and tuning), so that every method gets the same number of optimizer steps.
    """
    steps, warmup = span.epochs * per_epoch, round(span.warmup_epochs * per_epoch)
    tune = span.tune_per_cycle if tunes else 0
    cycle = span.train_per_cycle + tune
    if span.max_steps:
        warmup = min(warmup, span.max_steps)
        cycles, rest = divmod(span.max_steps - warmup, cycle)
        steps = min(steps, warmup + cycles * span.train_per_cycle + min(rest, span.train_per_cycle - 1))
    every = per_epoch * cycle / span.train_per_cycle / span.evaluations
    return Alternation(
        steps=max(steps, 1),
        warmup=min(warmup, steps),
        train_per_cycle=span.train_per_cycle,
        tune_per_cycle=tune,
        evaluate_every=max(1, round(every)),
        evaluate_train=between_evaluations(span, per_epoch),
        patience=span.patience,
        max_seconds=span.max_seconds,
    )


def between_evaluations(span: Span, per_epoch: int) -> float:
    """Training steps from one evaluation to the next: whole epochs, or equal parts of one, so that its end counts."""
    if span.evaluations < 1:
        return float(per_epoch * round(1 / span.evaluations))
    return max(1.0, per_epoch / span.evaluations)


def make_tuner(
    model: nn.Module, space: HyperSpace, problem: TorchProblem, recipe: Recipe, per_epoch: int
) -> TorchTuner:
    """The tuner of a converted model (on its device already); a space that tunes nothing only trains φ."""
    device = next(model.parameters()).device
    hypers = Hypers(space, device, box=recipe.method.box or math.inf)
    method, descent = recipe.method, recipe.descent
    weights = general_parameters(model) if method.response == "split" else model.parameters()
    phi = torch.optim.SGD(weights, descent.lr, descent.momentum, weight_decay=descent.weight_decay)
    lam = _hyper_optimizer(method, hypers.lam, method.lr_lam) if space.n else None
    spreads = method.tune_spreads and hypers.any_free
    rho = _hyper_optimizer(method, hypers.rho, method.lr_rho) if space.n and spreads else None
    config = TunerConfig(
        tau=method.tau,
        seed=recipe.seed,
        clip=descent.clip,
        least_lr=descent.least_lr,
        autocast="bfloat16" if recipe.machine.amp else "",
        course=recipe.course,
        graphs=recipe.machine.graphs,
    )
    optimizers = Optimizers(phi, lam, rho, _schedulers(descent, phi, per_epoch))
    called = prepared(model, recipe.machine)
    response = method.made(round(recipe.warmup_epochs * per_epoch))
    return TorchTuner(called, hypers, problem, optimizers, response, config)


def _hyper_optimizer(method: Method, parameter: nn.Parameter, lr: float) -> Optimizer:
    kind = torch.optim.Adam if method.hyper_optimizer == "adam" else torch.optim.RMSprop
    return kind([parameter], lr)


def _schedulers(descent: Descent, phi: Optimizer, per_epoch: int) -> Schedulers:
    if descent.decay == "nonmono":
        return Schedulers(evaluation=[NonMonotone(phi, descent.window, descent.factor)])
    if descent.decay == "milestones":
        return Schedulers(train=[MultiStepLR(phi, [per_epoch * m for m in descent.milestones], descent.factor)])
    return Schedulers()
