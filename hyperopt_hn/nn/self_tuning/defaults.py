"""How a SelfTuner trains, responds and tunes: every default in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from hyperopt_hn.config import check, described, option
from hyperopt_hn.nn.layers.kinds import FORMS, Form
from hyperopt_hn.nn.responses import Response, Split
from hyperopt_hn.nn.setup.schedulers import Scheduler

OPTIMIZER: Callable[[list[nn.Parameter]], Optimizer] = lambda parameters: torch.optim.Adam(parameters, 1e-3)  # noqa: E731
"""The network's optimizer where the user gives none."""

FASTEST, TRAVEL = 0.1, 14.0
"""The rate of the hyperparameters where the length of a run is not known, and the most that it is; raw units a tuning
step. And how far they can go in a run whose length is known: they have to be slower than what responds to them."""


@described
@dataclass(frozen=True)
class Tuning:
    """How a SelfTuner tunes. The defaults suit most models; docs/starting-values.md says when to change which."""

    response: str | Response = option(
        "split", "how the response is learned: split, delta, stn, implicit, or an instance"
    )
    form: Form = option(
        "lowrank", "of the response: lowrank (a tenth of the parameters), full (as many), gated (a hundredth), or "
        "generic: for any model whatever, with one draw a batch", choices=tuple(FORMS),
    )  # fmt: skip
    lr_lam: float | None = option(
        None, "Adam's rate for the hyperparameters, raw units a step; None: what lets them travel 14 raw units in the "
        "run that `fit` is asked for, twice a box's width, and 0.1 at most", above=0,
    )  # fmt: skip
    warmup: int | None = option(
        None, "training steps before the first tuning step; None: a tenth of the run, 100 in a loop of your own",
        unit="train steps", least=0,
    )  # fmt: skip
    spread: float = option(2.0, "standard deviation of the perturbations, raw units, where a Hyper has none", above=0)
    decades: float = option(
        1.0, "decades to which the spread of a log hyperparameter narrows, from the full spread at the start of a run; "
        "inf: never", above=0, most=math.inf,
    )  # fmt: skip
    box: float = option(
        3.5, "how far hyperparameters go from the middle of their range, raw; inf: no box", above=0, most=math.inf
    )
    lr_response: float = option(1e-2, "Adam's rate for the response of split", above=0)
    respond_every: int = option(2, "training steps for each step of split's response", unit="train steps", least=1)
    respond_eager: int = option(
        100, "training steps at the start of a run with a step of split's response each", unit="train steps", least=0
    )
    respond_share: float = option(1.0, "part of a batch that a step of split's response sees", above=0, most=1)
    gain: float = option(
        0.1, "share of the training work that goes into measuring the response gain, by which `trust` judges; 0: none",
        least=0, most=1,
    )  # fmt: skip
    response_optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = option(
        None, "makes the optimizer of the response's parameters; None: Adam of split's own, the network's of others"
    )
    train_per_tune: int = option(4, "training steps for each tuning step", unit="train steps", least=1)
    accumulate: int = option(1, "batches per training step, their gradients added up", unit="batches", least=1)
    clip: float = option(0.0, "largest norm of the network's gradient; 0: no clipping", least=0)
    autocast: str = option("", "bfloat16: the model runs under autocast; nothing: in its own precision")
    evaluate_every: int = option(0, "training steps between evaluations; 0: an epoch", unit="train steps", least=0)
    patience: int = option(0, "evaluations without improvement before stopping; 0: never", unit="evaluations", least=0)
    max_seconds: float = option(0.0, "stop at the first evaluation after so long; 0: no limit", unit="s", least=0)
    scheduler: Callable[[Optimizer], Scheduler] | None = option(
        None, "makes a learning-rate scheduler of the network's optimizer, stepped each training step "
        "(one that is stepped by a loss, as ReduceLROnPlateau is: each evaluation)",
    )  # fmt: skip
    wrap: Callable[[nn.Module], nn.Module] | None = option(
        None, "applied to the converted model, such as torch.compile or DistributedDataParallel"
    )

    def __post_init__(self) -> None:
        check(self)

    def learner(self) -> str | Response:
        """The response as TorchTuner takes it."""
        if self.response == "split":
            return Split(self.respond_every, self.respond_eager, self.respond_share, lr=self.lr_response)
        return self.response

    def pace(self, tunes: int) -> float:
        """The hyperparameters' rate in a run of so many tuning steps."""
        return self.lr_lam or min(FASTEST, TRAVEL / max(tunes, 1))

    def least_warmup(self) -> int:
        """Training steps until the response has taken one: before that the hyperparameters have no gradient."""
        return self.respond_every if self.response == "split" and not self.respond_eager else 1
