"""A small network on scikit-learn's digits with three hyperparameters, for tests of parts that know no experiment."""

from __future__ import annotations

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.nn import (
    Batches,
    Hypers,
    NonMonotone,
    Optimizers,
    Schedulers,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    convert,
    squared_norm,
)

SPACE = HyperSpace(
    [
        Hyper("drop", 0.1, 0.0, 0.9),
        Hyper("decay", 1e-3, 1e-6, 1.0, log=True, shared=True),
        Hyper("blank", 1, 0, 3, discrete=True),
    ]
)


@cache
def whole():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x).float() / 16, torch.tensor(y)


def rows(start, stop):
    return tuple(part[start:stop] for part in whole())


def train_loss(model, batch, h):
    x, y = batch
    blank = int(h["blank"])
    if blank:
        x = torch.cat([torch.zeros(len(x), blank), x[:, blank:]], 1)
    return cross_entropy(model(x), y) + h["decay"] * squared_norm(model)


def valid_loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def accuracy(model, batch):
    return {"accuracy": (model(batch[0]).argmax(1) == batch[1]).float().mean()}


def tuner_of(space, seed=0, course=None, lr=0.5, train=(0, 200), least_lr=0.0):
    """A tuner with momentum and a rate that decays by the validation loss, as those of toy and deep have."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Dropout(0.0), nn.Linear(24, 10))
    model = convert(net, space, dropout={"2": "drop"})
    hypers = Hypers(space)
    problem = TorchProblem(
        train_loss, valid_loss, Batches.of(rows(*train), 50, seed + 1), Batches.of(rows(1000, 1200), 50, seed + 2),
        Batches.of(rows(1200, 1400), 200), accuracy,
    )  # fmt: skip
    phi = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    lam = torch.optim.Adam([hypers.lam], 0.03) if space.n else None
    optimizers = Optimizers(phi, lam, None, Schedulers(evaluation=[NonMonotone(phi, 2, 0.5)]))
    return TorchTuner(
        model, hypers, problem, optimizers, "stn", TunerConfig(seed=seed, course=course, least_lr=least_lr)
    )


def fixed(values, seed=0, **more):
    return tuner_of(SPACE.with_init(values).with_tuned([]), seed, **more)


def same(a, b):
    """Whether two nested states are equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)
