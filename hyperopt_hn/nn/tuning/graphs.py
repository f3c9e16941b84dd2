"""Passes of a step as CUDA graphs: what launches a thousand small kernels from Python is launched once.

A small network on a GPU waits for Python, not for arithmetic. A pass that has been seen a few times with the same
shapes is recorded once and replayed from then on, into the same memory: the same kernels in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.responses import Implicit, Losses, Response
from hyperopt_hn.nn.responses.base import Slope
from hyperopt_hn.nn.setup.batches import Batch
from hyperopt_hn.nn.setup.problem import TunerConfig

WARM = 3
"""Passes of each kind before it is recorded, in which libraries make what they keep."""


@runtime_checkable
class Carrying(Protocol):
    """A batch that is more than its tensors: it knows a state that goes from one batch to the next."""

    def tensors(self) -> list[Tensor]:
        """All that a pass reads."""
        ...

    def like(self, tensors: Sequence[Tensor]) -> Any:
        """A batch of its own of other tensors of these shapes."""
        ...

    def carried(self) -> tuple[Tensor, ...]:
        """What a pass left for the next batch."""
        ...

    def carry(self, tensors: Sequence[Tensor]) -> None:
        """Take what a pass left."""
        ...


Found = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
"""What a pass gives, and what its batch carries on."""

Pass = Callable[[list[Tensor]], Found]


@dataclass
class _Recording:
    seen: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    inputs: list[Tensor] = field(default_factory=list)
    found: Found = ((), ())
    gradients: list[Tensor | None] = field(default_factory=list)


class Graphs:
    """Runs passes, from the fourth of a kind on as a recorded graph; one model, one GPU, one thread.

    `fixed`: what passes read where it is, parameters and λ̂; is one put elsewhere, all is recorded anew.
    """

    def __init__(self, fixed: Sequence[Tensor]) -> None:
        self._fixed = tuple(fixed)
        self._stream = torch.cuda.Stream(self._fixed[0].device)
        self._kinds: dict[Any, _Recording] = {}
        self._where: tuple[int, ...] = ()

    def run(
        self,
        kind: str,
        batch: Any,
        lam: Tensor,
        work: Callable[[Any, Tensor], tuple[Tensor, ...]],
        trained: Sequence[nn.Parameter] = (),
    ) -> tuple[Tensor, ...]:
        """`work(batch, lam)`, which gives tensors and fills the gradients of `trained`.

        Its tensors are overwritten by the next pass of this kind. Raises UserError for a batch that is not on the GPU.
        """
        tensors, rebuilt, still = taken_apart(batch)
        if not all(t.is_cuda for t in tensors):
            raise UserError("graphs=True needs batches that are on the GPU already; move the data there once")

        def whole(given: list[Tensor]) -> Found:
            here = rebuilt(given[:-1])
            return work(here, given[-1]), here.carried() if isinstance(here, Carrying) else ()

        inputs = [*tensors, lam]
        shapes = tuple((t.shape, t.dtype, t.requires_grad) for t in inputs)
        found, carried = self._passed((kind, still, shapes, tuple(map(id, trained))), whole, inputs, trained)
        if isinstance(batch, Carrying):
            batch.carry([t.clone() for t in carried])
        return found

    def _passed(self, key: Any, whole: Pass, inputs: list[Tensor], trained: Sequence[nn.Parameter]) -> Found:
        where = tuple(t.data_ptr() for t in self._fixed)
        if where != self._where:
            self._kinds.clear()
            self._where = where
        one = self._kinds.setdefault(key, _Recording())
        one.seen += 1
        if one.seen <= WARM:
            return self._beside(whole, inputs)
        if one.graph is None:
            self._record(one, whole, inputs, trained)
        assert one.graph is not None
        with torch.no_grad():
            for static, given in zip(one.inputs, inputs, strict=True):
                static.copy_(given)
        one.graph.replay()
        for parameter, gradient in zip(trained, one.gradients, strict=True):
            parameter.grad = gradient
        return one.found

    def _beside(self, whole: Pass, inputs: list[Tensor]) -> Found:
        """On the stream on which the graph will be recorded, so that nothing it needs belongs to another."""
        here = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            found = whole(inputs)
        here.wait_stream(self._stream)
        return found

    def _record(self, one: _Recording, whole: Pass, inputs: list[Tensor], trained: Sequence[nn.Parameter]) -> None:
        one.inputs = [t.detach().clone().requires_grad_(t.requires_grad) for t in inputs]
        for parameter in trained:
            parameter.grad = None
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            one.found = whole(one.inputs)
        one.gradients = [parameter.grad for parameter in trained]
        one.graph = graph


def taken_apart(batch: Any) -> tuple[list[Tensor], Callable[[Sequence[Tensor]], Any], Any]:
    """A batch's tensors, what makes such a batch of others, and what of it is no tensor (compared, not copied).

    Raises UserError for a batch that holds what cannot be compared.
    """
    if isinstance(batch, Carrying):
        return batch.tensors(), batch.like, type(batch)
    leaves, shape = tree_flatten(batch)
    places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    rest = tuple(leaf for leaf in leaves if not isinstance(leaf, Tensor))
    try:
        hash(rest)
    except TypeError:
        kinds = ", ".join(sorted({type(leaf).__name__ for leaf in rest}))
        raise UserError(
            f"graphs=True cannot compare what a batch holds beside tensors ({kinds}); leave it out"
        ) from None

    def rebuilt(tensors: Sequence[Tensor]) -> Any:
        whole = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            whole[place] = tensor
        return tree_unflatten(whole, shape)

    return [leaves[k] for k in places], rebuilt, (str(shape), rest)


def graphs_of(config: TunerConfig, losses: Losses, response: Response) -> Graphs | None:
    """Where `config` asks for them and the model is on a GPU. Raises UserError for what cannot be recorded."""
    if not config.graphs or losses.hypers.lam.device.type != "cuda":
        return None
    reasons = {
        "a course changes numbers that a graph holds; leave graphs out": config.course is not None,
        "the implicit method waits for numbers within a step; leave graphs out": isinstance(response, Implicit),
        "several processes exchange gradients within a step; leave graphs out": distributed.world() > 1,
        "the model is compiled already; leave one of the two out": losses.model is not losses.bare,
    }
    for reason, holds in reasons.items():
        if holds:
            raise UserError(f"graphs=True: {reason}")
    return Graphs([*losses.bare.parameters(), *losses.hypers.parameters()])


def slope(graphs: Graphs | None, response: Response, losses: Losses, at: tuple[Tensor, bool, Sequence[Batch]]) -> Slope:
    """`response.tune` at (λ, perturbed, batches), recorded where there are graphs."""
    lam, perturbed, batches = at
    if graphs is None:
        return response.tune(losses, lam, perturbed, batches)

    def work(batch: Batch, lam: Tensor) -> tuple[Tensor, ...]:
        loss, grad = response.tune(losses, lam, perturbed, [batch])
        return (loss,) if grad is None else (loss, grad)

    loss, *grad = graphs.run("tune", batches[0], lam.detach().requires_grad_(), work)
    return loss, grad[0] if grad else None
