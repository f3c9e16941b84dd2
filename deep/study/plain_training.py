"""A plain network trained at fixed values, some steps at a time: what every search and constant consists of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import nn

from deep.study.tasks import Splits, StudyTask
from hyperopt_hn.nn import Batches

RATE = 3e-3
"""Adam's, of every network."""


class PlainTraining:
    """One network of a task; its values may be changed between steps."""

    def __init__(self, task: StudyTask, splits: Splits, seed: int, values: Mapping[str, float]) -> None:
        torch.manual_seed(seed)
        self.task, self.splits = task, splits
        self.network = task.net()
        self.optimizer = torch.optim.Adam(self.network.parameters(), RATE)
        self.source = Batches.of(splits[0], task.batch, seed)
        self.steps = 0
        self.change(values)

    def advance(self, steps: int) -> float:
        """So many training steps, then the validation loss."""
        self.train(steps)
        return loss_on(self.task, self.network, self.splits, 1)

    def train(self, steps: int) -> None:
        """So many training steps."""
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.task.train_loss(self.network, self.source.next(), self.values).mean().backward()
            self.optimizer.step()
        self.steps += steps

    def change(self, values: Mapping[str, float]) -> None:
        """Go on at other values."""
        self.values = dict(values)
        for name, module in self.network.named_modules():
            for pattern, hyper in self.task.rates.items():
                if isinstance(module, nn.Dropout) and fnmatchcase(name, pattern):
                    module.p = values[hyper]

    def adopt(self, other: PlainTraining, values: Mapping[str, float]) -> None:
        """Take over another's weights and its optimizer's state, and go on at these values."""
        self.network.load_state_dict(other.network.state_dict())
        self.optimizer.load_state_dict(copy.deepcopy(other.optimizer.state_dict()))
        self.change(values)

    def copy(self) -> nn.Module:
        """The network as it is now."""
        return copy.deepcopy(self.network)


@torch.no_grad()
def loss_on(task: StudyTask, network: nn.Module, splits: Splits, split: int) -> float:
    """The mean prediction loss of a network on a split: 1 validation, 2 test."""
    network.eval()
    found = float(task.valid_loss(network, splits[split]))
    network.train()
    return found
