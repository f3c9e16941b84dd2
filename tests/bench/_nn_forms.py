"""Four networks, three forms of the response, the three steps of split training; the reference is a plain step.

- train: the network at λ̂, every parameter but the response's, its penalty in the loss (the plain step's is SGD's).
- respond: a λ per example, the response's parameters alone, penalty in the loss.
- tune: the loss in evaluation mode at λ̂ and its gradient in λ, no other.

Whole runs are in _nn_whole_runs.
A bar is the inverse of the cost asked for: a ratio of 0.77 is a step that costs 1.3 plain ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.nn import (
    Tuning,
    at,
    convert,
    general_parameters,
    hyper_values,
    response_parameters,
    squared_norm,
)
from hyperopt_hn.nn.responses.base import evaluating, frozen
from tests.bench.harness import Row, compare

WORDS, WIDTH, LENGTH = 2000, 256, 64
FORMS = ("full", "lowrank", "gated")
REPEATS = 7
CYCLE = 8
"""Train steps in a piece of a run whose memory is measured."""
DEFAULTS = Tuning()


@dataclass(frozen=True)
class Task:
    """A network with a batch of data, and the costs asked for: respond and tune over plain."""

    name: str
    make: Callable[[], nn.Module]
    x: Tensor
    t: Tensor
    dropout: dict[str, str] | None
    respond: float
    tune: float

    def loss(self, model: nn.Module) -> Tensor:
        """Cross entropy on the batch."""
        return cross_entropy(model, self.x, self.t)


def rows() -> list[Row]:
    """Every comparison."""
    torch.manual_seed(0)
    return [row for task in tasks() for form in FORMS for row in _rows(task, form)]


def tasks() -> list[Task]:
    """The networks; `x` and `t` are one batch each."""
    images, labels = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))
    words = torch.randint(0, WORDS, (16, LENGTH))
    pixels, digits = torch.randn(128, 784), torch.randint(0, 10, (128,))
    return [
        Task("transformer 4x256", _Transformer, words, words, {"*drop*": "dropout"}, 1.0, 0.8),
        Task("LSTM 2x256", _Lstm, words, words, {"*": "dropout"}, 1.3, 1.0),
        Task("ResNet18 32 px", _resnet, images, labels, None, 1.1, 0.8),
        Task("MLP 784-512-512-10", _mlp, pixels, digits, {"*": "dropout"}, 1.0, 0.8),
    ]


def _rows(task: Task, form: Any) -> list[Row]:
    net = task.make()
    plain = _plain(task, copy.deepcopy(net))
    steps = _steps(task, net, form)
    general, response = (sum(p.numel() for p in which(steps.model)) for which in _PARTS)
    title = f"{task.name} {form} ({100 * response / general:.1f} %)"
    bounded = form != "full"
    return [
        unlike(f"{title} train", steps.train, plain, 1 / 1.1),
        unlike(f"{title} respond", steps.respond, plain, 1 / task.respond if bounded else None),
        unlike(f"{title} tune", steps.tune, plain, 1 / task.tune if bounded else None),
    ]


def cross_entropy(model: nn.Module, x: Tensor, t: Tensor) -> Tensor:
    """Mean over the batch, and over the words of texts."""
    return F.cross_entropy(model(x).flatten(0, -2), t.flatten())


def plain_run(task: Task) -> Callable[[], object]:
    """A piece of a plain run."""
    plain = _plain(task, task.make())
    return lambda: [plain() for _ in range(CYCLE)]


def tuning_run(task: Task, form: Any) -> Callable[[], object]:
    """A piece of a self-tuning run at SelfTuner's cadence."""
    return _run(_steps(task, task.make(), form))


def _run(steps: _Steps) -> Callable[[], None]:
    def run() -> None:
        for k in range(1, CYCLE + 1):
            steps.train()
            if k % DEFAULTS.respond_every == 0:
                steps.respond()
            if k % DEFAULTS.train_per_tune == 0:
                steps.tune()

    return run


_PARTS: tuple[Callable[[nn.Module], Any], ...] = (general_parameters, response_parameters)


@dataclass(frozen=True)
class _Steps:
    model: nn.Module
    train: Callable[[], None]
    respond: Callable[[], None]
    tune: Callable[[], None]


def _plain(task: Task, net: nn.Module) -> Callable[[], None]:
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        task.loss(net).backward()
        optimizer.step()

    return step


def _steps(task: Task, net: nn.Module, form: Any) -> _Steps:
    decay = Hyper("decay", 1e-4, 1e-7, 0.1, log=True, shared=True)
    space = HyperSpace([Hyper("dropout", 0.1, 0.0, 0.9), decay])
    model = convert(net, space, dropout=task.dropout, form=form)
    general, response = (list(which(model)) for which in _PARTS)
    sgd, adam = torch.optim.SGD(general, 0.01, momentum=0.9), torch.optim.Adam(response, 1e-3, fused=True)
    lam = torch.as_tensor(space.init(), dtype=torch.float32).requires_grad_()
    centre = lam.detach()

    def penalised() -> Tensor:
        loss = task.loss(model)
        return loss + (hyper_values(model)["decay"] * squared_norm(model)).mean()

    def train() -> None:
        sgd.zero_grad()
        with at(model, centre, centre):
            penalised().backward()
        sgd.step()

    def respond() -> None:
        adam.zero_grad()
        drawn = centre + 0.5 * torch.randn(len(task.x), space.n)
        with frozen(general), at(model, drawn, centre):
            penalised().backward()
        adam.step()

    def tune() -> None:
        with frozen(list(model.parameters())), evaluating(model), at(model, lam, centre):
            torch.autograd.grad(task.loss(model), lam)

    return _Steps(model, train, respond, tune)


class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.rnn = nn.LSTM(WIDTH, WIDTH, 2, batch_first=True)
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(WIDTH, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.drop(self.rnn(self.embedding(x))[0]))
        return out


class _Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.1, batch_first=True, norm_first=True)
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.body = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.out = nn.Linear(WIDTH, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.body(self.embedding(x)))
        return out


class _Block(nn.Module):
    def __init__(self, fan_in: int, size: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(fan_in, size, 3, stride, 1, bias=False), nn.BatchNorm2d(size)
        self.conv2, self.bn2 = nn.Conv2d(size, size, 3, 1, 1, bias=False), nn.BatchNorm2d(size)
        self.short: nn.Module = nn.Identity()
        if stride > 1 or fan_in != size:
            self.short = nn.Sequential(nn.Conv2d(fan_in, size, 1, stride, bias=False), nn.BatchNorm2d(size))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + self.short(x), inplace=True)


def _resnet() -> nn.Module:
    """torchvision's resnet18, whose first layers leave 8 x 8 of 32 x 32 pixels."""
    first = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    sizes = ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2))
    blocks = [_Block(*size) for size in (*sizes, (512, 512, 1))]
    return nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def _mlp() -> nn.Module:
    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.1)]
    return nn.Sequential(*hidden, nn.Linear(512, 10))


def unlike(
    name: str, fast: Callable[[], object], reference: Callable[[], object], bar: float | None, repeats: int = REPEATS
) -> Row:
    """A comparison of two computations whose numbers need not agree."""

    def one(run: Callable[[], object]) -> Any:
        def timed() -> Any:
            run()
            return 1.0

        return timed

    return compare(name, one(fast), one(reference), repeats, bar)
