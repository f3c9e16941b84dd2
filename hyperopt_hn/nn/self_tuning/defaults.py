"""How a SelfTuner trains, responds and tunes: every default in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from hyperopt_hn.config import check, option
from hyperopt_hn.nn.responses import Response

OPTIMIZER: Callable[[list[nn.Parameter]], Optimizer] = lambda parameters: torch.optim.Adam(parameters, 1e-3)  # noqa: E731
"""The network's optimizer where the user gives none."""


@dataclass(frozen=True)
class Tuning:
    """How a SelfTuner tunes. The defaults suit most models; docs/starting-values.md says when to change which."""

    response: str | Response = option("delta", "how the response is learned: delta, stn, implicit, or an instance")
    lr_lam: float = option(0.03, "Adam's rate for the hyperparameters, raw units a step", above=0)
    warmup: int | None = option(
        None, "training steps before the first tuning step; None: a tenth of the run, 100 in a loop of your own",
        unit="train steps", least=0,
    )  # fmt: skip
    train_per_tune: int = option(1, "training steps for each tuning step", unit="train steps", least=1)
    accumulate: int = option(1, "batches per training step, their gradients added up", unit="batches", least=1)
    clip: float = option(0.0, "largest norm of the network's gradient; 0: no clipping", least=0)
    autocast: str = option("", "bfloat16: the model runs under autocast; nothing: in its own precision")
    evaluate_every: int = option(0, "training steps between evaluations; 0: an epoch", unit="train steps", least=0)
    patience: int = option(0, "evaluations without improvement before stopping; 0: never", unit="evaluations", least=0)
    max_seconds: float = option(0.0, "stop at the first evaluation after so long; 0: no limit", unit="s", least=0)
    scheduler: Callable[[Optimizer], LRScheduler] | None = option(
        None, "makes a learning-rate scheduler of the network's optimizer, stepped each training step "
        "(ReduceLROnPlateau: each evaluation)",
    )  # fmt: skip
    wrap: Callable[[nn.Module], nn.Module] | None = option(
        None, "applied to the converted model, such as torch.compile or DistributedDataParallel"
    )

    def __post_init__(self) -> None:
        check(self)
