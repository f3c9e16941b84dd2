"""Whether a training loss reads weights itself: a penalty over model.parameters() is another one than |w(λ)|²."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from hyperopt_hn.nn.context import anywhere, named_own
from hyperopt_hn.nn.conversion import penalty
from hyperopt_hn.nn.diagnosis.calls import Watch, elementary, responding
from hyperopt_hn.nn.diagnosis.made_plain import few
from hyperopt_hn.nn.responses.base import Losses


class PenaltyWarning(UserWarning):
    """A training loss reads weights of layers that respond, past the model and `squared_norm`."""


@contextmanager
def loss_watched(losses: Losses, after: Callable[[], None]) -> Iterator[Losses]:
    """Losses to use inside; after it one warning names the weights that the training loss has read itself.

    `after` is called each time the training loss has been computed.
    """
    if type(losses.model).__name__ == "OptimizedModule":  # torch.compile would trace the watch too
        yield losses
        return
    watch = _LossWatch(losses.bare)
    loss = losses.problem.train_loss

    def watched(*given: Any) -> Tensor:
        with watch:
            found = loss(*given)
        after()
        return found

    yield replace(losses, problem=replace(losses.problem, train_loss=watched))
    if watch.inside:
        _warn(losses.bare, watch.inside)


class _LossWatch(Watch):
    """Which parameters of layers that respond are read in no module's call; `squared_norm` and no_grad do not count."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, everywhere=True)
        every = [(n, p, anywhere(layer)) for layer in self.layers for n, p in layer.named_parameters()]
        self.weights |= {id(p) for _, p, _ in every}
        self.weights -= {id(p) for n, p, wherever in every if wherever and elementary(n)}  # a loss reads them at λ
        self._returned = set[int]()

    def _read(self, weight: Tensor) -> None:
        frame: Any = sys._getframe()
        while frame is not None and torch.is_grad_enabled():
            if frame.f_code.co_filename == penalty.__file__:
                return
            frame = frame.f_back
        if torch.is_grad_enabled() and id(weight) not in self._returned:
            self.inside.add(id(weight))

    def _leave(self, one: int, output: Any) -> None:
        super()._leave(one, output)
        self._returned |= {id(x) for x in tree_leaves(output) if isinstance(x, nn.Parameter)}  # a table given whole


def _warn(model: nn.Module, ids: set[int]) -> None:
    found = [(f"{name}.{p}", elementary(p)) for name, x in responding(model) for p, w in named_own(x) if id(w) in ids]
    names = [name for name, plain in found if plain] or [name for name, _ in found]
    counted = "; it counts the response's own parameters too" if not all(plain for _, plain in found) else ""
    warnings.warn(
        f"train_loss reads {few(names)} itself, at λ̂, where the layer answers with its weights at λ{counted}. So "
        "written a penalty is another than |w(λ)|², and its strength is tuned wrong: write it with squared_norm(model)",
        PenaltyWarning,
        stacklevel=4,
    )
