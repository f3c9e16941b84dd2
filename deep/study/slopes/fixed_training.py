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

RATE, BATCH = 1e-2, 50
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


def quotients(
    problem: SlopeProblem, data: tuple[Rows, Rows], place: int, seed: int, steps: int, pairs: int
) -> tuple[list[list[float]], list[float]]:
    """For each direction: the true slope of so many pairs with common numbers, and that of two independent trials."""
    space = problem.space(place)
    lam = torch.as_tensor(space.init()).float()
    true, trials = [], []

    def loss(at_lam: Tensor, draw: int) -> float:
        return trained(problem, space, data[0], at_lam, draw, steps).valid_loss(data[1])

    for direction in problem.directions(seed):
        low, high, apart = beside(space, lam, direction, NEAR)
        draws = [1000 * seed + pair for pair in range(pairs)]
        true.append([(loss(high, draw) - loss(low, draw)) / apart for draw in draws])
        low, high, apart = beside(space, lam, direction, FAR)
        trials.append((loss(high, 1000 * seed + 998) - loss(low, 1000 * seed + 999)) / apart)
    return true, trials
