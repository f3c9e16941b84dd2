"""One public model, as it comes, put through convert, a step of each kind, and collapse; every check is numeric."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from hyperopt_hn import Hyper
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import SelfTuner, at, collapse, report, response_parameters

Make = Callable[[], tuple[nn.Module, dict[str, Any]]]
"""A model with random weights, and keyword arguments for one call of it; tensors have the batch first."""
ROWS = 3
CLOSE, ROW_CLOSE, EXACT = 1e-5, 2e-3, 1e-6
"""Largest differences, in units of the outputs and of how far λ moves them, the last in float64."""


@dataclass
class Trial:
    """What came of one model. `wrong` names checks that failed silently, `refused` the one line of a refusal."""

    name: str
    share: float = 0.0
    parameters: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: str = ""
    crashed: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    cost: float = 0.0
    rounding: str = ""
    """What was too far apart in float32 and is equal in float64."""

    def row(self) -> dict[str, Any]:
        """For a line of the record."""
        return asdict(self)

    @property
    def right(self) -> bool:
        """Whether all checks passed."""
        return not (self.wrong or self.refused or self.crashed)


class Given(nn.Module):
    """The model with its output as rows of numbers; arguments beside the batch stay as they are."""

    def __init__(self, model: nn.Module, names: list[str], fixed: dict[str, Any]) -> None:
        super().__init__()
        self.model, self.names, self.fixed = model, names, fixed

    def forward(self, *tensors: Tensor) -> Tensor:
        """(B, ...) each -> (B, numbers)."""
        out = self.model(**dict(zip(self.names, tensors, strict=True)), **self.fixed)
        rows = [x for x in _tensors(out) if x.is_floating_point() and x.dim() and x.shape[0] == tensors[0].shape[0]]
        if not rows:
            rows = [x for x in _tensors(out) if x.is_floating_point() and x.dim()]
        return torch.cat([x.flatten(1) if x.dim() > 1 else x[:, None] for x in rows[:1]], 1)


def _tensors(out: Any) -> Iterator[Tensor]:
    leaves = list(out.values()) if hasattr(out, "values") and not isinstance(out, Tensor) else tree_flatten(out)[0]
    return (x for x in leaves if isinstance(x, Tensor))


def tried(name: str, make: Make) -> Trial:
    """Put one model through."""
    found = Trial(name)
    try:
        torch.manual_seed(0)
        net, given = make()
        found.parameters = sum(p.numel() for p in net.parameters())
        names = [k for k, x in given.items() if isinstance(x, Tensor)]
        model = Given(net, names, {k: x for k, x in given.items() if k not in names})
        batch = tuple(given[k] for k in names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _settled(model, batch)
            whole = copy.deepcopy(model)
            _rows(found, model, batch)
            if found.wrong:
                _exactly(found, whole, batch)
            for response in ("split", "stn", "delta"):
                _steps(found, model, batch, response)
    except UserError as error:
        found.refused = str(error)
    except Exception as error:
        found.crashed = f"{type(error).__name__}: {error}"[:300]
    return found


def _tuner(model: nn.Module, response: str) -> SelfTuner:
    hypers = [Hyper("weight", 0.5, 0.1, 0.9), Hyper("noise", 0.1, 0.0, 0.8)]
    return SelfTuner(
        model,
        hypers,
        # a target that is not zero: where a head starts at zero, the square of its output has no slope
        train_loss=lambda m, b, h: (m(*b) - 1).square().mean(1) * h["weight"] + h["noise"],
        valid_loss=lambda m, b: (m(*b) - 1).square().mean(1),
        response=response,
    )


def _rows(found: Trial, model: nn.Module, batch: tuple[Tensor, ...], row_close: float = ROW_CLOSE) -> None:
    """Unchanged at λ̂; rows at their own λ equal the collapsed models; these load strictly into the plain class."""
    plain = copy.deepcopy(model).eval()
    tuner = _tuner(model, "split")
    net, kind = tuner.model, next(p.dtype for p in model.parameters())
    centre = torch.zeros(2, dtype=kind)
    with torch.no_grad():
        before = plain(*batch)
        net.eval()
        with at(net, centre, centre):
            _expect(found, "unchanged at λ̂", net(*batch), before, before.abs().max(), CLOSE)
    net.train()
    torch.manual_seed(1)
    start = time.process_time()
    plain.train()(*batch).square().mean().backward()
    once = time.process_time() - start
    tuner.train_step(batch)
    start = time.process_time()
    tuner.train_step(batch)
    found.cost = (time.process_time() - start) / once if once else 0.0
    found.share = report(net).share
    net.eval()
    with torch.no_grad():
        for parameter in response_parameters(net):
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
        lam = 0.5 * torch.randn(ROWS, 2, dtype=kind)
        if _mixes(net, centre, batch):  # as graphs do: then rows have one λ
            lam = lam[:1].expand(ROWS, -1)
        with at(net, centre, centre):
            rest = net(*batch)
        with at(net, lam, h=lam):
            rows = net(*batch)
        twins = [collapse(net, one, h=one) for one in lam]
        single = torch.stack([twin(*batch)[i] for i, twin in enumerate(twins)])
        moved = (single - rest).abs().max()
        if float(moved) < 1e-7 and found.share:
            found.wrong.append("λ moves nothing")
        else:
            _expect(found, "rows equal collapsed models", rows, single, moved, row_close)
        plain.eval().load_state_dict(twins[0].state_dict(), strict=True)
        out = twins[0](*batch)
        _expect(found, "loads into the plain class", plain(*batch), out, out.abs().max(), CLOSE)


def _exactly(found: Trial, model: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """The checks again in float64, with a bound that no fault would meet: what passes there was rounding."""
    again = Trial(found.name)
    try:
        _rows(again, model.double(), tuple(x.double() if x.is_floating_point() else x for x in batch), EXACT)
    except Exception:
        return  # code that cannot do without float32: what was found stands
    if not again.wrong:
        found.rounding, found.wrong = ", ".join(found.wrong), []


def _settled(model: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """Running statistics as after some training, not those of no data at all: a deep network explodes with these."""
    norms = [x for x in model.modules() if isinstance(x, nn.modules.batchnorm._BatchNorm)]
    kept = [x.momentum for x in norms]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(*batch)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum


def _mixes(net: nn.Module, centre: Tensor, batch: tuple[Tensor, ...]) -> bool:
    """Whether an example's output depends on another example."""
    changed = tuple(torch.cat([x[1:2], x[1:]]) if len(x) == ROWS else x for x in batch)
    with at(net, centre, centre):
        one, two = net(*batch), net(*changed)
    return bool((one[1:] - two[1:]).abs().max() > 1e-4 * one.abs().max())


def _steps(found: Trial, model: nn.Module, batch: tuple[Tensor, ...], response: str) -> None:
    try:
        tuner = _tuner(model, response)
        for _ in range(2):
            tuner.train_step(batch)
            tuner.tune_step(batch)
        found.steps[response] = "right"
    except UserError as error:
        found.steps[response] = f"refused: {error}"
        if response == "split":
            raise
    except Exception as error:
        found.steps[response] = f"crashed: {type(error).__name__}: {error}"[:300]
        if response == "split":
            raise


def _expect(found: Trial, what: str, one: Tensor, two: Tensor, size: Tensor, most: float) -> None:
    gap = float((one - two).abs().max() / size.clamp(min=1e-12))
    if not gap <= most:
        found.wrong.append(f"{what} ({gap:.1e})")
