"""A plain network trained at a fixed λ, and the true slope: difference quotients of networks trained beside it.

Two networks of a quotient see the same numbers: initial weights, batches, and the uniform draws of which their masks
and augmentations are made. n tuned hyperparameters, D directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from deep.study.slopes.slope_problems import Rows, SlopeProblem
from hyperopt_hn import HyperSpace
from hyperopt_hn.nn import Batches, at, convert, general_parameters

RATE, BATCH = 3e-2, 200
"""Adam's rate at the start, which a cosine takes to zero, and the rows of a batch."""
NEAR, FAR = 0.25, 1.0
"""Raw units to each side of λ: of the true quotient, and of the two trials of a search."""


@dataclass(frozen=True)
class FixedTraining:
    """A network with its response off, its Adam, and the λ (n,) at which it was trained."""

    problem: SlopeProblem
    space: HyperSpace
    model: nn.Module
    optimizer: torch.optim.Optimizer
    lam: Tensor

    def rate(self) -> float:
        """Adam's at the start of training."""
        return rate_at(self.space, self.lam)

    @torch.no_grad()
    def valid_loss(self, rows: Rows) -> float:
        """In evaluation mode."""
        self.model.eval()
        with at(self.model, self.lam, self.lam):
            found = float(self.problem.valid_loss(self.model, rows))
        self.model.train()
        return found


def rate_at(space: HyperSpace, lam: Tensor) -> float:
    """The hyperparameter `rate` at λ; RATE where there is none."""
    return float(space.values(lam, torch).get("rate", RATE))


def responding(problem: SlopeProblem, space: HyperSpace, gain: Literal["delta", "stn"] = "delta") -> nn.Module:
    """A new network, converted as SelfTuner does it but for the problem's own `kinds`."""
    return convert(
        problem.net(), space, gain=gain, dropout=dict(problem.dropout), form="lowrank", kinds=dict(problem.kinds)
    )


def trained(problem: SlopeProblem, space: HyperSpace, train: Rows, lam: Tensor, seed: int, steps: int) -> FixedTraining:
    """Train at raw λ (n,) for so many steps; the seed decides everything drawn."""
    torch.manual_seed(seed)
    model = responding(problem, space)
    optimizer = torch.optim.Adam(general_parameters(model), rate_at(space, lam), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    source = Batches.of(train, BATCH, seed)
    values = space.values(lam, torch)
    for _ in range(steps):
        optimizer.zero_grad()
        with at(model, lam, lam):
            loss = problem.loss(model, source.next(), values).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    return FixedTraining(problem, space, model, optimizer, lam)


def beside(space: HyperSpace, lam: Tensor, direction: np.ndarray, reach: float) -> tuple[Tensor, Tensor, float]:
    """λ a step down and up a direction, (n,) each, and how far apart; whole numbers go to their neighbours."""
    hyper = space[space.tuned[0]]
    if hyper.grid is not None:
        value = float(hyper.value(lam.double().numpy())[0])
        low, high = (torch.tensor([float(hyper.raw(value + way * hyper.grid))]) for way in (-1, 1))
        return low, high, float(high - low)
    moved = reach * torch.as_tensor(direction).to(lam)
    return lam - moved, lam + moved, 2 * reach


def retrained(
    problem: SlopeProblem, data: tuple[Rows, Rows], place: int, seed: int, steps: int, pairs: int
) -> list[list[float]]:
    """The true slope in each direction, (D, pairs): a quotient for each pair of networks with common numbers."""
    draws = [1000 * seed + pair for pair in range(pairs)]
    return [
        [_quotient(problem, data, place, direction, NEAR, (draw, draw), steps) for draw in draws]
        for direction in problem.directions(seed)
    ]


def two_trials(problem: SlopeProblem, data: tuple[Rows, Rows], place: int, seed: int, steps: int) -> list[float]:
    """What two trials of a search say of each direction, (D,): networks farther apart, each with numbers of its own."""
    draws = (1000 * seed + 998, 1000 * seed + 999)
    return [_quotient(problem, data, place, direction, FAR, draws, steps) for direction in problem.directions(seed)]


def _quotient(
    problem: SlopeProblem,
    data: tuple[Rows, Rows],
    place: int,
    direction: np.ndarray,
    reach: float,
    draws: tuple[int, int],
    steps: int,
) -> float:
    space = problem.space(place)
    low, high, apart = beside(space, torch.as_tensor(space.init()).float(), direction, reach)
    ends = zip((high, low), draws, strict=True)
    losses = [trained(problem, space, data[0], lam, draw, steps).valid_loss(data[1]) for lam, draw in ends]
    return (losses[0] - losses[1]) / apart
