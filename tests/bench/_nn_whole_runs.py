"""`SelfTuner.fit` over a loop of plain steps with as many evaluations, on the networks of _nn_forms.

Its respond and tune steps, response gain, evaluations and checks are in it. What is left out: the first 100 steps of a
run, each of which has a respond step. A bar is the inverse of the cost asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hyperopt_hn import Hyper
from hyperopt_hn.nn import SelfTuner, Tuning, squared_norm
from hyperopt_hn.nn.responses.base import evaluating
from tests.bench._nn_forms import Task, cross_entropy, tasks, unlike
from tests.bench.harness import Row

MOST = {"lowrank": 1.4, "gated": 1.25}
"""What a run may cost over a plain one."""
STEPS, PARTS, REPEATS = 24, 3, 3
"""Train steps of a piece of a run, batches of training data, repeats."""
Pair = tuple[Tensor, Tensor]


def rows() -> list[Row]:
    """Every comparison."""
    torch.manual_seed(0)
    return [
        unlike(f"{task.name} {form} whole run", tuning_fit(task, form), plain_fit(task), 1 / most, REPEATS)
        for task in tasks()
        for form, most in MOST.items()
    ]


def tuning_fit(task: Task, form: Any) -> Callable[[], object]:
    """A piece of a run with evaluations in its middle and at its end."""
    decay = Hyper("decay", 1e-4, 1e-7, 0.1, log=True, shared=True)
    tuner = SelfTuner(
        task.make(),
        [Hyper("dropout", 0.1, 0.0, 0.9), decay] if task.dropout else [decay],
        train_loss=lambda m, b, h: cross_entropy(m, *b) + h["decay"] * squared_norm(m),
        valid_loss=lambda m, b: cross_entropy(m, *b),
        dropout=task.dropout,
        optimizer=lambda parameters: torch.optim.SGD(parameters, 0.01, momentum=0.9),
        tuning=Tuning(form=form, respond_eager=0, warmup=2, evaluate_every=STEPS // 2),
    )
    data, one = _data(task)
    return lambda: tuner.fit(data, one, steps=STEPS, batch_size=len(task.x), quiet=True)


def plain_fit(task: Task) -> Callable[[], object]:
    """As many plain steps and evaluations."""
    net = task.make()
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    (x, t), one = _data(task)

    def run() -> None:
        for step in range(1, STEPS + 1):
            chosen = torch.randperm(len(x))[: len(task.x)]
            optimizer.zero_grad()
            cross_entropy(net, x[chosen], t[chosen]).backward()
            optimizer.step()
            if step % (STEPS // 2) == 0:
                with evaluating(net), torch.no_grad():
                    cross_entropy(net, *one)

    return run


def _data(task: Task) -> tuple[Pair, Pair]:
    """Training data of some batches, validation data of one."""
    return (torch.cat([task.x] * PARTS), torch.cat([task.t] * PARTS)), (task.x, task.t)
