"""The parts of a train step: who is trained, at which λ, by which optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves, tree_map

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.conversion.converter import response_parameters
from hyperopt_hn.nn.diagnosis.not_finite import located
from hyperopt_hn.nn.responses import Losses, Phase
from hyperopt_hn.nn.responses.backward_passes import backward, in_one_line
from hyperopt_hn.nn.responses.base import frozen, kept_buffers
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.hypers import Hypers, Noise
from hyperopt_hn.nn.setup.problem import Optimizers
from hyperopt_hn.nn.tuning.graphs import Graphs

View = Callable[[Tensor, bool], AbstractContextManager[object]]
"""(λ, perturbed) -> inside, the model answers for λ."""
RESPONSE_CLIP = 1.0
"""Largest norm of a response's gradient. At rates drawn near 1, DropConnect makes that of a recurrence overflow now and
then: without a bound one such draw ends a run, or leaves Adam's second moments so large that nothing moves again."""
Look = Callable[[Tensor, Mapping[str, Tensor]], dict[str, float]]
"""A loss, (), and name -> gradient -> what to report of it; raises NonFiniteError before anything moves."""


@dataclass
class Perturbations:
    """λ ~ p(λ|λ̂) for the rows of a step."""

    hypers: Hypers
    noise: Noise

    @torch.no_grad()
    def take(self, rows: int) -> Tensor:
        """(rows, n), or one (n,) where no perturbed hyperparameter differs between examples."""
        return self.live(rows)

    def live(self, rows: int) -> Tensor:
        """The same, differentiable in λ̂ and ρ."""
        eps, first = self.noise.draw(rows)
        if self.hypers.one_draw:
            return self.hypers.draw(first[None], first)[0]
        return self.hypers.draw(eps, first)


class Trainer:
    """Runs the phases of a response, each with its own backward pass and its own optimizer's step."""

    def __init__(
        self, bare: nn.Module, draws: Perturbations, optimizers: Optimizers, clip: float, look: Look,
        graphs: Graphs | None = None,
    ) -> None:  # fmt: skip
        self.bare, self.draws, self.optimizers, self.clip, self.look = bare, draws, optimizers, clip, look
        self.graphs = graphs
        every = list(bare.parameters())
        response = {id(p) for p in response_parameters(bare)}
        self._parts = {
            "all": every,
            "general": [p for p in every if id(p) not in response],
            "response": [p for p in every if id(p) in response],
        }
        self._response = response
        self._names = {id(p): name for name, p in bare.named_parameters()}

    def run(
        self, phases: Sequence[Phase], losses: Losses, view: View, batches: Sequence[Batch]
    ) -> list[dict[str, float]]:
        """One pass of each phase over the batches; the report of each."""
        rows = [losses.problem.rows(batch) for batch in batches]
        if not sum(rows):
            raise UserError("the training batch has no examples; leave such batches out")
        drawn: list[Tensor] | None = None
        found = []
        for place, phase in enumerate(phases):
            trained = [p for p in self._parts[phase.trains] if p.requires_grad]
            if not trained:
                continue
            parts, sizes = (list(batches), rows) if phase.share == 1 else _shared(batches, rows, phase.share)
            if phase.groups > 1:
                parts, sizes = _grouped(parts, sizes, phase.groups)
            if phase.perturbed and (drawn is None or sizes != rows):
                drawn = self._drawn(sizes, phase.groups > 1)
            lams = drawn if phase.perturbed and drawn is not None else [self.draws.hypers.lam.detach()] * len(parts)
            with nullcontext() if place == 0 else kept_buffers(self.bare):
                found.append(self._pass(phase, losses, view, trained, list(zip(parts, lams, sizes, strict=True))))
        return found

    def _drawn(self, sizes: Sequence[int], apart: bool) -> list[Tensor]:
        if apart:
            return [self.draws.take(size) for size in sizes]
        whole = self.draws.take(sum(sizes))
        return list(whole.split(list(sizes))) if whole.dim() == 2 else [whole] * len(sizes)

    def _pass(
        self, phase: Phase, losses: Losses, view: View, trained: list[nn.Parameter], work: list[tuple[Any, Tensor, int]]
    ) -> dict[str, float]:
        optimizers = self._optimizers(phase)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        chosen, whole = {id(p) for p in trained}, sum(size for _, _, size in work)
        seen: list[Tensor] = []

        def pass_over(batch: Any, lam: Tensor, size: int) -> Tensor:
            with view(lam, phase.perturbed), in_one_line():
                loss = losses.train_loss(batch, lam) * (size / whole)
                _backward(loss, phase)
            return loss.detach()

        with frozen([p for p in self._parts["all"] if id(p) not in chosen]):
            if self.graphs is not None and len(work) == 1:
                batch, lam, size = work[0]
                seen += self.graphs.run(phase.trains, batch, lam, lambda b, at: (pass_over(b, at, size),), trained)
            else:
                seen += [pass_over(*one) for one in work]
        distributed.average_([p.grad for p in trained if p.grad is not None])
        with located(losses, lambda: [_alone(losses, view, phase, *one) for one in work]):
            report = self.look(torch.stack(seen).sum(), self._gradients(trained))
        self._step(optimizers, trained)
        return report

    def _gradients(self, trained: Sequence[nn.Parameter]) -> dict[str, Tensor]:
        """Of what is stepped as it is; a response's own optimizer has its gradients bounded."""
        bounded = self._response if self.optimizers.response is not None else set[int]()
        return {self._names[id(p)]: p.grad for p in trained if p.grad is not None and id(p) not in bounded}

    def _step(self, optimizers: Sequence[Optimizer], trained: Sequence[nn.Parameter]) -> None:
        apart = self.optimizers.response is not None
        clipped = [p for p in trained if not (apart and id(p) in self._response)]
        if self.clip and clipped:
            nn.utils.clip_grad_norm_(clipped, self.clip)
        if apart:
            bound_(p.grad for p in trained if id(p) in self._response)
        for optimizer in optimizers:
            optimizer.step()

    def _optimizers(self, phase: Phase) -> list[Optimizer]:
        """Those that step in a phase: the response's own is another than φ's where there is one."""
        own = self.optimizers.response
        if own is None:
            return self.optimizers.phis()
        return {"all": [*self.optimizers.phis(), own], "general": self.optimizers.phis(), "response": [own]}[
            phase.trains
        ]


@torch.no_grad()
def bound_(gradients: Iterable[Tensor | None], most: float = RESPONSE_CLIP) -> None:
    """Bring these gradients to a norm of at most `most` together, and to zero where it is not finite; no host read."""
    found = [g for g in gradients if g is not None]
    if found:
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(found)))
        factor = (most / norm).clamp(max=1.0).nan_to_num_(0.0, 1.0)
        for gradient in found:
            gradient.mul_(factor).nan_to_num_(0.0, 0.0, 0.0)


def _backward(loss: Tensor, phase: Phase) -> None:
    """Add a loss's gradients to the parameters. Raises UserError if it has none to give."""
    if not loss.requires_grad:
        raise UserError(
            f"train_loss does not depend on the {phase.trains} parameters: it must call the model that it is given"
        )
    backward(loss)


def _alone(losses: Losses, view: View, phase: Phase, batch: Any, lam: Tensor, size: int) -> Tensor:
    with view(lam, phase.perturbed):
        return losses.train_loss(batch, lam)


def _shared(batches: Sequence[Batch], rows: Sequence[int], share: float) -> tuple[list[Batch], list[int]]:
    """The first `share` of the rows of each batch; whole batches where they are not cut by rows."""
    parts, sizes = [], []
    for batch, count in zip(batches, rows, strict=True):
        size = max(1, round(share * count))
        found = any(isinstance(leaf, Tensor) for leaf in tree_leaves(batch))
        try:
            parts.append(_rows(batch, 0, size, count))
        except UserError:
            found = False
        if not found:
            return list(batches), list(rows)
        sizes.append(size)
    return parts, sizes


def _grouped(batches: Sequence[Batch], rows: Sequence[int], groups: int) -> tuple[list[Batch], list[int]]:
    """Each batch cut into up to `groups` parts of its rows. Raises UserError where rows are not dimension 0."""
    parts, sizes = [], []
    for batch, count in zip(batches, rows, strict=True):
        size = -(-count // min(groups, count))
        for start in range(0, count, size):
            parts.append(_rows(batch, start, min(start + size, count), count))
            sizes.append(min(size, count - start))
    return parts, sizes


def _rows(batch: Batch, start: int, stop: int, count: int) -> Batch:
    def cut(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.dim() == 0 or leaf.shape[0] != count:
            raise UserError(
                f"a batch of {count} examples holds a tensor of shape {tuple(leaf.shape)}, which cannot be cut into "
                "groups along dimension 0; use Split(groups=1)"
            )
        return leaf[start:stop]

    return tree_map(cut, batch)
