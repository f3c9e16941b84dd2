"""What a tuner is given: losses and batches, optimizers and schedulers, and how to run a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from hyperopt_hn.config import check, described, option
from hyperopt_hn.course import Course
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.setup.batches import Batch, Source
from hyperopt_hn.nn.setup.looped import Looped
from hyperopt_hn.nn.setup.schedulers import Schedulers

TrainLoss = Callable[[nn.Module, Batch, Mapping[str, Any]], Tensor]
ValidLoss = Callable[[nn.Module, Batch], Tensor]


def rows_of(batch: Batch) -> int:
    """The length of dimension 0 of the first tensor or array in a batch, else of its first list of strings.

    A batch is one of these, or a tuple, list or mapping of them, nested. Raises UserError where none is found.
    """
    found = _lengths(batch)
    for kind in (Tensor, np.ndarray, str):
        if kind in found:
            return found[kind]
    raise UserError(
        f"how many examples a {type(batch).__name__} holds is not clear; say it: rows=lambda batch: len(batch[0])"
    )


def _lengths(node: Any) -> dict[type, int]:
    """Tensor, np.ndarray and str -> the length of the first such column."""
    if isinstance(node, (Tensor, np.ndarray)):
        return {Tensor if isinstance(node, Tensor) else np.ndarray: len(node)} if node.ndim else {}
    if isinstance(node, Mapping):
        node = list(node.values())
    if not isinstance(node, (list, tuple)):
        return {}
    if node and all(isinstance(part, (str, bytes)) for part in node):
        return {str: len(node)}
    found: dict[type, int] = {}
    for part in node:
        found = {**_lengths(part), **found}
    return found


@described
@dataclass(frozen=True)
class TorchProblem:
    """L_T and L_V of a model, and the data they are taken on.

    Losses are means over a batch: a scalar, or one number per example (B,). `train_loss(model, batch, h)` gets the
    natural values h: name -> (B,), one per example, or () for `shared` hyperparameters; penalties, label smoothing
    and augmentation read them there. `valid_loss(model, batch)` is the prediction loss alone. A DataLoader is wrapped
    in `Looped`. Raises UserError for anything else that is no source of batches.
    """

    train_loss: TrainLoss
    valid_loss: ValidLoss
    train: Source
    valid: Source
    test: Source | None = None
    """A third split, on which nothing is trained or chosen: its loss is logged as test_loss and shows over-tuning."""
    metrics: Callable[[nn.Module, Batch], Mapping[str, Tensor]] | None = None
    """More means over a batch to log, such as accuracy: name -> ().

    A "loss" among them stands for `valid_loss` where a split is evaluated, so that one forward pass serves both.
    """
    rows: Callable[[Batch], int] = rows_of
    """How many examples a batch holds; say it if they do not lie along dimension 0."""

    def __post_init__(self) -> None:
        for name in ("train", "valid", "test"):
            data = getattr(self, name)
            if isinstance(data, DataLoader):
                object.__setattr__(self, name, Looped(data))
            elif data is not None and not isinstance(data, Source):
                raise UserError(
                    f"{name} is a {type(data).__name__}, no source of batches; give Batches.of(tensors, size=64), "
                    "Looped(loader) or a DataLoader"
                )


@dataclass(frozen=True)
class Optimizers:
    """The user's own optimizers, never rebuilt: on φ (one or several), on [hypers.lam] and, if tuned, [hypers.rho].

    `response` is for the response's parameters alone, outside `clip` and φ's schedulers; without it they are φ's. A
    large step of a weight's SGD breaks a response, so that one of its own is the better choice. Without `lam`
    hyperparameters stay fixed; without `rho` spreads do and the tune step is unperturbed.
    """

    phi: Optimizer | Sequence[Optimizer]
    lam: Optimizer | None = None
    rho: Optimizer | None = None
    schedulers: Schedulers = field(default_factory=Schedulers)
    response: Optimizer | None = None

    def all(self) -> list[Optimizer]:
        """Every optimizer, φ's first."""
        return [*self.phis(), *(o for o in (self.response, self.lam, self.rho) if o is not None)]

    def phis(self) -> list[Optimizer]:
        """Those on φ, the response's own left out."""
        return [self.phi] if isinstance(self.phi, Optimizer) else list(self.phi)

    def spent(self, least_lr: float) -> bool:
        """Whether all of φ's learning rates are below `least_lr`; never at 0."""
        groups = [group for optimizer in self.phis() for group in optimizer.param_groups]
        return least_lr > 0 and all(group["lr"] < least_lr for group in groups)


@described
@dataclass(frozen=True)
class TunerConfig:
    """How steps are taken."""

    tau: float = option(0.0, "weight of the spreads' entropy in the tuning loss", unit="nats", least=0)
    seed: int = option(0, "seed of the perturbations", least=0)
    accumulate: int = option(1, "batches per train step, their gradients added up", unit="batches", least=1)
    clip: float = option(0.0, "largest norm of φ's gradient; 0: no clipping", least=0)
    least_lr: float = option(0.0, "end when all of φ's learning rates have decayed below this; 0: never", least=0)
    clip_lam: float = option(0.0, "largest norm of λ̂'s and ρ's gradient; 0: no clipping", least=0)
    autocast: str = option("", "precision of the model under autocast: bfloat16, or nothing for none")
    report_every: int = option(0, "steps between looks at the loss; 0: 1 on a CPU, 20 on a GPU", unit="steps", least=0)
    gain: float = option(
        0.0, "share of the training work that goes into measuring the response gain; 0: not measured", least=0, most=1
    )
    gate: bool = option(False, "a hyperparameter moves only while its response gain's t is above 1 (needs gain)")
    graphs: bool = option(
        False, "on a GPU, record the passes of a step as CUDA graphs: small networks run several times faster there; "
        "batches must be on the GPU, and losses nothing but tensor code",
    )  # fmt: skip
    course: Course | None = None
    """Values of hyperparameters that are not tuned, step by step; see hyperopt_hn.course."""
    course_rows: int = option(4096, "at most twice so many rows of the course of λ̂ are kept", unit="rows", least=2)

    def __post_init__(self) -> None:
        check(self)
        if self.gate and not self.gain:
            raise UserError("gate=True holds hyperparameters by their response gain; measure it with gain=0.1")
