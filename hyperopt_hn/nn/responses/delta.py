"""Δ-STN: the response's input is λ - λ̂, so that at λ̂ the network is its general weights alone.

A train step has two parts: the general weights at the mean, then the response weights on perturbed λ through the
first-order forward f(x; λ̂) + J (λ - λ̂), computed in forward mode. Source: Bae & Grosse 2020, sec. 4.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules.batchnorm import _BatchNorm

from hyperopt_hn.nn.context import Fed, at
from hyperopt_hn.nn.responses.base import Losses, Phase, Slope, slope
from hyperopt_hn.nn.responses.dual_values import first_order, first_order_attributes
from hyperopt_hn.nn.responses.elementary import elementary_kernels, named_gaps
from hyperopt_hn.nn.setup.batches import Batch


@dataclass(frozen=True)
class Delta:
    """w_φ(λ) = W + diag(V (λ - λ̂)) R; `linear`: the outputs, not only the weights, are first order in λ - λ̂.

    `position` (not published): the input is the difference of positions (`Hypers.position`), not of raw λ.
    """

    linear: bool = True
    position: bool = False
    phases: tuple[Phase, ...] = (Phase("general", perturbed=False), Phase("response", perturbed=True))
    needs_train_batch: bool = False

    @property
    def fed(self) -> Fed:
        """Positions are the tuner's to make."""
        return "other" if self.position else "centred"

    def view(self, losses: Losses, lam: Tensor, perturbed: bool) -> AbstractContextManager[object]:
        """The general network at λ̂, the first-order one at perturbed λ."""
        centre = losses.hypers.lam.detach()
        still = not perturbed and not lam.requires_grad
        h = self.input(losses, lam) if self.position and not still else None
        if perturbed and self.linear:
            return linearised(losses.bare, lam, centre, losses.fixed, h)
        return at(losses.bare, lam, lam if still else centre, h=h, values=losses.fixed)

    def input(self, losses: Losses, lam: Tensor) -> Tensor:
        """λ - λ̂, or the difference of their positions."""
        hypers = losses.hypers
        centre = hypers.lam.detach()
        return hypers.position(lam) - hypers.position(centre) if self.position else lam - centre

    def unmoved(self, losses: Losses, lam: Tensor) -> AbstractContextManager[object]:
        """The general network."""
        return at(losses.bare, lam, lam, values=losses.fixed)

    def tune(self, losses: Losses, lam: Tensor, perturbed: bool, batches: Sequence[Batch]) -> Slope:
        """L_V and its gradient; at λ̂ itself λ - stop(λ̂) is zero and only its gradient lives."""
        return slope(losses, self.view(losses, lam, perturbed), lam, batches[0])


@contextmanager
def linearised(
    model: nn.Module, lam: Tensor, centre: Tensor, values: Mapping[str, Any] | None = None, h: Tensor | None = None
) -> Iterator[None]:
    """Inside, model(...) answers f(x; centre) + J (λ - centre), J the Jacobian of its outputs in the response input.

    lam (B, n), centre (n,); `h` in λ's shape stands for another input than λ - centre. Dropout and the like see λ; the
    same masks serve f and J, as they come from one pass.
    First order is whatever a call puts out: tensors in containers, dataclasses and distributions, and what modules keep
    as attributes (an auxiliary loss).
    What is called outside model(...) (a penalty on its weights) sees the plain response. One thread at a time may use
    a model so, as it hooks the module's call. Batch-norm statistics are
    left alone: the general pass has counted this batch.
    """
    _load_forward_mode()
    inner: list[Any] = []

    def before(module: nn.Module, args: Any) -> None:
        context = _tangents(model, lam, centre, values, h)
        context.__enter__()
        inner.append(context)

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        if not inner:
            return None
        try:
            first_order_attributes(module)
            return first_order(output)
        finally:
            inner.pop().__exit__(None, None, None)

    hooks = [model.register_forward_pre_hook(before), model.register_forward_hook(after, always_call=True)]
    try:
        with at(model, lam, centre, h=h, values=values), _uncounted(model), named_gaps(model):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _load_forward_mode() -> None:
    """torch imports the scripts of its forward mode at the first dual number, with a FutureWarning about itself."""
    with warnings.catch_warnings(), suppress(ImportError):
        for kind in (FutureWarning, DeprecationWarning):  # torch 2.15, torch 2.13
            warnings.simplefilter("ignore", kind)
        importlib.import_module("torch._decomp.decompositions_for_jvp")


@contextmanager
def _tangents(
    model: nn.Module, lam: Tensor, centre: Tensor, values: Mapping[str, Any] | None, h: Tensor | None
) -> Iterator[None]:
    with forward_ad.dual_level(), elementary_kernels(model), at(model, lam, centre, h=h, values=values, tangent=True):
        yield


@contextmanager
def _uncounted(model: nn.Module) -> Iterator[None]:
    counting = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    for module in counting:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in counting:
            module.track_running_stats = True
