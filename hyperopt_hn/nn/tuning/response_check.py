"""Is the learned response true? Retrain at a few λ and compare; and a watch against over-tuning.

`check_response` answers the question that no loss curve does: whether the validation loss that the response predicts
at some λ is what training at that λ would give.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hyperopt_hn.config import check, described, option
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.conversion.converter import general_parameters
from hyperopt_hn.nn.conversion.copies import copy_of
from hyperopt_hn.nn.diagnosis.overtuning import OverTuning, OverTuningWarning
from hyperopt_hn.nn.diagnosis.verdict import Word, judge, rms
from hyperopt_hn.nn.responses import Implicit, Losses
from hyperopt_hn.nn.responses.base import means, training
from hyperopt_hn.nn.setup.problem import TorchProblem
from hyperopt_hn.nn.setup.random_states import random_state, set_random_state
from hyperopt_hn.nn.tuning.tuner import TorchTuner
from hyperopt_hn.runs.display.notebook import Picture

__all__ = ["OverTuning", "OverTuningWarning", "ResponseCheck", "Retraining", "check_response"]

Grid = Mapping[str, Sequence[float]] | Sequence[Mapping[str, Any]]
"""Natural values: name -> values to try one at a time, or a list of whole settings; the rest stay at λ̂."""


@described
@dataclass(frozen=True)
class Retraining:
    """How each λ is retrained: from the weights at λ̂, elementary weights alone, on the training loss at that λ."""

    steps: int = option(200, "training steps at each λ", unit="steps", least=1)
    workers: int = option(1, "λ retrained at a time, in threads; with dropout only 1 repeats bit for bit", least=1)
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None
    """Makes the optimizer of a retraining; None: φ's own kind with its settings and present learning rate."""

    def __post_init__(self) -> None:
        check(self)


@described
@dataclass(frozen=True, repr=False)
class ResponseCheck:
    """Validation losses at K settings: what the response says, and what retraining gives (half way and at its end)."""

    settings: tuple[Mapping[str, Any], ...]
    response: tuple[float, ...]
    truth: tuple[float, ...]
    halfway: tuple[float, ...]
    unmoved: float
    """The loss at λ̂ before any retraining: what a response that knows nothing would say everywhere."""
    centre: tuple[float, float]
    """The loss after the same retraining at λ̂ itself, half way and at its end: training further changes it, too."""

    @property
    def foreseen(self) -> list[float]:
        """How the response says that the loss changes away from λ̂."""
        return [r - self.unmoved for r in self.response]

    @property
    def changes(self) -> list[float]:
        """How retraining changes it, more than the same retraining at λ̂ does."""
        return [t - self.centre[1] for t in self.truth]

    @property
    def error(self) -> float:
        """Root mean square of foreseen - true changes."""
        return rms([f - c for f, c in zip(self.foreseen, self.changes, strict=True)])

    @property
    def blind_error(self) -> float:
        """The same for a response that knows nothing and foresees no change: the response should do clearly better."""
        return rms(self.changes)

    @property
    def unsettled(self) -> float:
        """How far the true changes still moved in the second half: below `blind_error`, or retrain for longer."""
        before = [h - self.centre[0] for h in self.halfway]
        return max(abs(b - c) for b, c in zip(before, self.changes, strict=True))

    @property
    def verdict(self) -> Word:
        """trust, partly, distrust or undecided; `why` says what for."""
        return self._judged()[0]

    @property
    def why(self) -> str:
        """The verdict's reason, in a sentence."""
        return self._judged()[1]

    def _judged(self) -> tuple[Word, str]:
        return judge(self.foreseen, self.changes, self.unsettled, [_words(setting) for setting in self.settings])

    def __repr__(self) -> str:
        lines = [f"{'response':>10} {'retrained':>10} {'half way':>10}  losses at this setting"]
        rows = [*zip(self.response, self.truth, self.halfway, map(_words, self.settings), strict=True)]
        for *losses, words in [*rows, (self.unmoved, self.centre[1], self.centre[0], "tuned values")]:
            lines.append(" ".join(f"{loss:10.5f}" for loss in losses) + f"  {words}")
        lines.append(
            f"error of the changes {self.error:.5f} (knowing nothing: {self.blind_error:.5f}); retraining moved them "
            f"by up to {self.unsettled:.5f} in its second half"
        )
        lines.append(f"verdict: {self.verdict}: {self.why}")
        return "\n".join(lines)

    def picture(self, path: Path | str) -> Picture:
        """Draw both losses over the settings to a file, which a notebook shows. Raises UserError without matplotlib."""
        try:
            from hyperopt_hn.runs.display.plotting import plot_response
        except ImportError:
            raise UserError("a picture needs matplotlib: pip install matplotlib, or print the check") from None
        names = {name for setting in self.settings for name in setting}
        single = len(names) == 1 and all(isinstance(v, (int, float)) for s in self.settings for v in s.values())
        places = [next(iter(s.values())) for s in self.settings] if single else list(range(len(self.settings)))
        losses = {"learned response": self.response, "retrained": self.truth}
        plot_response(next(iter(names)) if single else "setting", places, losses, self.unmoved, Path(path))
        return Picture(Path(path))


def check_response(
    tuner: TorchTuner, problem: TorchProblem, grid: Grid, retraining: Retraining | None = None
) -> ResponseCheck:
    """Compare the response's validation loss with retrained truth at the settings of `grid`.

    Retraining goes on from the tuned weights, at λ̂ too: what training further brings everywhere is taken off before
    the changes are compared. The tuner is left exactly as it was, random streams and batches included. `problem` is
    the tuner's own, or a smaller one of the same kind. Raises UserError for an unknown or fixed name, and for the
    implicit method, which has no response.
    """
    if isinstance(tuner.response, Implicit):
        raise UserError("the implicit method learns no response, so there is none to check")
    plan = retraining or Retraining()
    settings = _settings(grid)
    losses = replace(tuner.losses, model=tuner.losses.bare, problem=problem)
    lams = [losses.hypers.raw(setting) for setting in settings]
    kept = random_state(losses.hypers.lam.device)
    try:
        unmoved = _loss(losses, tuner.response.unmoved(losses, losses.hypers.lam.detach()))
        response = [_loss(losses, tuner.response.view(losses, lam, True)) for lam in lams]
        with ThreadPoolExecutor(plan.workers) as pool:
            centre, *truth = pool.map(
                lambda lam: _retrain(tuner, losses, lam, plan), [losses.hypers.lam.detach(), *lams]
            )
    finally:
        set_random_state(kept, losses.hypers.lam.device)
    ends, halves = tuple(t for _, t in truth), tuple(h for h, _ in truth)
    return ResponseCheck(settings, tuple(response), ends, halves, unmoved, centre)


def _retrain(tuner: TorchTuner, losses: Losses, lam: Tensor, plan: Retraining) -> tuple[float, float]:
    """Validation loss half way through and after retraining a copy of the model at λ (n,)."""
    model = copy_of(losses.bare)
    source = copy.copy(losses.problem.train)  # its own position, the same data
    source.load_state(losses.problem.train.state())
    mine = replace(losses, model=model, bare=model)
    chosen = {id(p) for p in general_parameters(model)}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in chosen)
        parameter.grad = None
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = plan.optimizer(weights) if plan.optimizer else _alike(tuner.optimizers.phis()[0], weights)
    half = 0.0
    torch.manual_seed(0)  # the same masks at every setting: what differs is the setting
    for step in range(plan.steps):
        if step == plan.steps // 2:
            half = _loss(mine, tuner.response.unmoved(mine, lam))
        batch = source.next()
        optimizer.zero_grad(set_to_none=True)
        with tuner.response.unmoved(mine, lam), training(model):
            mine.train_loss(batch, lam).backward()
        optimizer.step()
    return half, _loss(mine, tuner.response.unmoved(mine, lam))


def _loss(losses: Losses, view: Any) -> float:
    with torch.no_grad(), view:
        return means(replace(losses, problem=replace(losses.problem, metrics=None)), losses.problem.valid)["loss"]


def _alike(optimizer: Optimizer, weights: list[nn.Parameter]) -> Optimizer:
    known = inspect.signature(type(optimizer)).parameters  # AdamW's defaults hold more than it takes
    settings = {name: value for name, value in optimizer.defaults.items() if name in known}
    settings["lr"] = optimizer.param_groups[0]["lr"]
    try:
        return type(optimizer)(weights, **settings)
    except TypeError:
        raise UserError(
            f"another {type(optimizer).__name__} cannot be made from its settings; give Retraining(optimizer=...)"
        ) from None


def _settings(grid: Grid) -> tuple[Mapping[str, Any], ...]:
    if isinstance(grid, Mapping):
        found: list[Mapping[str, Any]] = [{name: value} for name, values in grid.items() for value in values]
    else:
        found = [dict(setting) for setting in grid]
    if not found:
        raise UserError("the grid is empty; give values to try, such as {'dropout': [0.1, 0.5]}")
    return tuple(found)


def _words(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in setting.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "…"
