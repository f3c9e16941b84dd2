"""What every response works with: a model with its losses at λ, the phases of a train step, the protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from hyperopt_hn.config import described
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.context import Fed, homes_of
from hyperopt_hn.nn.responses.backward_passes import gradient, in_one_line
from hyperopt_hn.nn.responses.elementary import not_written_over, recurrent_backward
from hyperopt_hn.nn.setup.batches import Batch, Source
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.problem import TorchProblem

Slope = tuple[Tensor, Tensor | None]
"""L_V, (), and ∂L_V/∂λ in λ's shape; None where no path leads from λ to the loss."""


@described
@dataclass(frozen=True)
class Phase:
    """A part of a train step: which parameters it trains, whether at perturbed λ or at λ̂, and how often it comes."""

    trains: Literal["all", "general", "response"]
    perturbed: bool
    every: int = 1
    """Once in so many train steps, at the last of them."""
    groups: int = 1
    """Parts of a batch that each get a draw of their own of the `shared` hyperparameters."""

    share: float = 1.0
    """Part of a batch's rows that it sees, the first of them; the whole batch where that cannot be cut by rows."""

    eager: int = 0
    """Train steps at the start of a run in which it comes every time."""

    def due(self, done: int) -> bool:
        """Whether it belongs to the train step after `done` of them."""
        return done < self.eager or (done + 1) % self.every == 0


@described
@dataclass(frozen=True)
class Losses:
    """The model as the losses call it, the bare module behind wrappers, λ̂, the problem, and the autocast dtype."""

    model: nn.Module
    bare: nn.Module
    hypers: Hypers
    problem: TorchProblem
    dtype: torch.dtype | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Present values of hyperparameters that follow a course."""

    def train_loss(self, batch: Batch, lam: Tensor, keep: bool = False) -> Tensor:
        """L_T at raw λ (n,) or (B, n): () float32 or float64. `keep`: differentiable in λ through natural values."""
        h = {**self.hypers.values(lam), **self.fixed}
        if not keep:
            h = {name: value.detach() if isinstance(value, Tensor) else value for name, value in h.items()}
        with self.autocast():
            return _mean(self.problem.train_loss(self.model, batch, h), "train_loss")

    def valid_loss(self, batch: Batch) -> Tensor:
        """L_V in the present context, ()."""
        with self.autocast():
            return _mean(self.problem.valid_loss(self.model, batch), "valid_loss")

    def metrics(self, batch: Batch) -> dict[str, Tensor]:
        """The problem's metrics in the present context, name -> ()."""
        if self.problem.metrics is None:
            return {}
        with self.autocast():
            return dict(self.problem.metrics(self.model, batch))

    def autocast(self) -> AbstractContextManager[object]:
        """The precision in which the model runs."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.hypers.lam.device.type, self.dtype)


class Response(Protocol):
    """One way to model or replace w_φ(λ)."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of a train step, in order; each has its own backward pass and optimizer step."""
        ...

    @property
    def fed(self) -> Fed | None:
        """What `input` makes of λ; None where there is no response."""
        ...

    def view(self, losses: Losses, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """Inside, the model answers for raw λ (n,) or (B, n): drawn around λ̂ if `perturbed`, else λ̂ itself."""
        ...

    def tune(self, losses: Losses, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V at λ and ∂L_V/∂λ, on a validation batch (and a training batch after it, if `needs_train_batch`)."""
        ...

    def input(self, losses: Losses, lam: Tensor) -> Tensor:
        """What the response is fed at λ (n,), (n,): λ itself, λ - λ̂, or natural values."""
        ...

    def unmoved(self, losses: Losses, lam: Tensor) -> AbstractContextManager[object]:
        """Inside, at λ (n,) or (B, n), the elementary weights are those at λ̂; dropout and the like see λ."""
        ...

    @property
    def needs_train_batch(self) -> bool:
        """Whether `tune` asks for a training batch too."""
        ...


def told(model: nn.Module, response: Response) -> None:
    """Let a model know what its response is fed from now on."""
    for home in homes_of(model):
        home.fed = getattr(response, "fed", None)


def slope(losses: Losses, view: AbstractContextManager[object], lam: Tensor, batch: Batch) -> Slope:
    """L_V in evaluation mode inside `view`, and its gradient in λ; no parameter gets a gradient."""
    bare = losses.bare
    with frozen(list(bare.parameters())), evaluating(bare), recurrent_backward(bare), view, in_one_line():
        loss = losses.valid_loss(batch)
        with not_written_over():
            grad = gradient(loss, lam) if loss.requires_grad else None
    return loss.detach(), grad


@contextmanager
def frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Inside, no gradient is computed for these parameters."""
    changed = [p for p in parameters if p.requires_grad]
    for parameter in changed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in changed:
            parameter.requires_grad_(True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, every module is in evaluation mode; each gets its own mode back."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Inside, a model that is in evaluation mode as a whole is in training mode; each module gets its mode back.

    Pretrained models come in evaluation mode, where no dropout acts. Parts that are in evaluation mode while the
    model is not (frozen batch norm) stay so.
    """
    waiting = [] if model.training else [module for module in model.modules() if not module.training]
    for module in waiting:
        module.training = True
    try:
        yield
    finally:
        for module in waiting:
            module.training = False


@contextmanager
def kept_buffers(model: nn.Module) -> Iterator[None]:
    """Inside, buffers may move; after it they are as before: a second pass over a batch is counted nowhere."""
    buffers = [(m, name, b, b.clone()) for m in model.modules() for name, b in m._buffers.items() if b is not None]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, before in buffers:  # F.batch_norm moves its statistics without a new version
                module._buffers[name] = buffer.copy_(before)


@torch.no_grad()
def means(losses: Losses, source: Source) -> dict[str, float]:
    """Means over a split in evaluation mode and the present context, every rank's share counted: "loss", metrics."""
    problem, sums = losses.problem, dict[str, Tensor]()
    with evaluating(losses.bare):
        for batch in source.once():
            here = losses.metrics(batch)
            if "loss" not in here:
                here = {"loss": losses.valid_loss(batch), **here}
            for name, value in {**here, "": torch.ones_like(here["loss"])}.items():
                sums[name] = sums.get(name, 0) + value.detach().double() * problem.rows(batch)
    if not sums:
        raise UserError("a split gave no batch to evaluate on; give it data")
    whole = distributed.total(torch.stack(list(sums.values())))
    found = dict(zip(sums, (whole / whole[-1]).tolist(), strict=True))
    return {name: value for name, value in found.items() if name}


def _mean(loss: Tensor, name: str) -> Tensor:
    if not isinstance(loss, Tensor) or not loss.is_floating_point() or loss.dim() > 1:
        what = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise UserError(f"{name} gave {what}; return a scalar tensor or one number per example, (B,)")
    loss = loss if loss.dtype == torch.float64 else loss.float()
    return loss.mean() if loss.dim() else loss
