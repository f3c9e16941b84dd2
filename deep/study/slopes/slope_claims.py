"""What each method says of dL_V/dλ at a fixed λ, (n,) in raw units; None where no path leads from λ to L_V.

Learned responses are those of a SelfTuner with its defaults, λ̂ at rest throughout. The others look at
a network trained at λ: `implicit` by the implicit function theorem, unrolled ones through further steps of its own
Adam, masks and augmentations drawn anew in each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from deep.study.slopes.fixed_training import BATCH, RATE, FixedTraining, responding
from deep.study.slopes.slope_problems import Rows, SlopeProblem, Values
from hyperopt_hn.nn import STN, Batches, Delta, SelfTuner, Tuning, at, collapse, general_parameters
from hyperopt_hn.nn.setup.narrowing import Narrowing

RESPONSES: dict[str, str | STN | Delta] = {"split": "split", "stn": STN(), "delta": Delta()}
DRAWS, SHARE = 20, 0.3
"""Unrolled gradients that a claim is the mean of; their steps' share of Adam's first rate, at which five diverge."""
Claim = list[float] | None
Read = Callable[[nn.Module], Tensor]


def learned(problem: SlopeProblem, data: tuple[Rows, Rows], place: int, response: str, seed: int, steps: int) -> Claim:
    """By a response that is learned while the network trains, with SelfTuner's defaults."""
    torch.manual_seed(seed)
    space, how = problem.space(place), RESPONSES[response]
    if problem.kinds and isinstance(how, Delta):
        how = replace(how, linear=False)  # a weight that responds by itself is never linearised
    tuner = SelfTuner(
        responding(problem, space, "stn" if response == "stn" else "delta"), space,
        train_loss=problem.loss, valid_loss=problem.valid_loss, response=how, seed=seed, inplace=True,
        optimizer=lambda parameters: torch.optim.Adam(parameters, RATE),
        tuning=Tuning(
            gain=0.0,
            scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        ),
    )  # fmt: skip
    _trained_to_the_end(tuner, data[0], seed, steps)
    return _slope(tuner, [data[1]])


def _trained_to_the_end(tuner: SelfTuner, train: Rows, seed: int, steps: int) -> None:
    """As `fit` trains, which would give the network back at its best: here it is asked about where it ends."""
    torch.manual_seed(seed)
    inside, source = tuner.tuner, Batches.of(train, BATCH, seed + 1)
    for schedule in inside.optimizers.schedulers.train:
        if isinstance(schedule, Narrowing):
            schedule.begin(steps)
    for _ in range(steps):
        tuner.train_step(source.next())


def implicit(network: FixedTraining, data: tuple[Rows, Rows]) -> Claim:
    """By the implicit function theorem at the trained network, its Hessian on all training rows."""
    problem, lam = network.problem, network.lam
    plain = collapse(network.model, lam, lam)
    torch.manual_seed(0)
    tuner = SelfTuner(
        plain, network.space, train_loss=problem.loss, valid_loss=problem.valid_loss, response="implicit",
        optimizer=lambda parameters: torch.optim.Adam(parameters, RATE),
    )  # fmt: skip
    return _slope(tuner, [data[1], data[0]])


def _slope(tuner: SelfTuner, batches: list[Any]) -> Claim:
    inside = tuner.tuner
    lam = inside.losses.hypers.lam
    grad = inside.response.tune(inside.losses, lam, False, batches)[1]
    return None if grad is None else [float(value) for value in grad]


def unrolled(network: FixedTraining, data: tuple[Rows, Rows], length: int, seed: int, draws: int = DRAWS) -> Claim:
    """Through so many further steps of training, mean over draws; masks are differentiated by their scale alone."""
    torch.manual_seed(seed)
    source, total = Batches.of(data[0], BATCH, seed), torch.zeros_like(network.lam)
    for _ in range(draws):
        lam = network.lam.clone().requires_grad_()
        values = network.space.values(lam, torch)
        weights = stepped(network, values, [source.next() for _ in range(length)])
        network.model.eval()
        loss = _at(network, values, weights, lambda model: network.problem.valid_loss(model, data[1]))
        grad = torch.autograd.grad(loss, lam, allow_unused=True)[0] if loss.requires_grad else None
        if grad is None:
            return None
        total += grad / draws
    return [float(value) for value in total]


def stepped(network: FixedTraining, values: Values, batches: list[Rows]) -> dict[str, Tensor]:
    """The weights, name -> tensor, after a step of Adam on each batch, differentiable in the values."""
    group = network.optimizer.param_groups[0]
    (first, second), eps = group["betas"], group["eps"]
    own = {id(p) for p in general_parameters(network.model)}
    weights, memory = {}, {}
    for name, parameter in network.model.named_parameters():
        if id(parameter) in own:
            state = network.optimizer.state[parameter]
            weights[name] = parameter.detach().clone().requires_grad_()
            memory[name] = (state["exp_avg"], state["exp_avg_sq"], float(state["step"]))
    rate = SHARE * values.get("rate", network.rate())
    network.model.train()
    for batch in batches:
        loss = _at(network, values, weights, partial(_train_loss, network.problem, batch, values))
        grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        for (name, weight), grad in zip(list(weights.items()), grads, strict=True):
            mean, square, count = memory[name]
            mean, square, count = (
                first * mean + (1 - first) * grad, second * square + (1 - second) * grad.square(), count + 1
            )  # fmt: skip
            memory[name] = (mean, square, count)
            # the square of an unused weight's gradient is 0, where a root has no slope
            size = (square / (1 - second**count) + 1e-20).sqrt() + eps
            weights[name] = weight - rate * mean / (1 - first**count) / size
    return weights


def _train_loss(problem: SlopeProblem, batch: Rows, values: Values, model: nn.Module) -> Tensor:
    return problem.loss(model, batch, values)


class _Reading(nn.Module):
    """A network and what is read of it, so that its weights can be given from outside."""

    def __init__(self, model: nn.Module, read: Read) -> None:
        super().__init__()
        self.model, self.read = model, read

    def forward(self) -> Tensor:
        return self.read(self.model)


def _at(network: FixedTraining, values: Values, weights: dict[str, Tensor], read: Read) -> Tensor:
    """A mean of what is read of the network at these values and weights, differentiable in both."""
    named = {f"model.{name}": weight for name, weight in weights.items()}
    with at(network.model, network.lam, network.lam, values=values):
        found: Tensor = functional_call(_Reading(network.model, read), named, ())
    return found.mean()
