"""A small SelfTuner on scikit-learn's digits, for tests of the one class that users of torch meet first."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hyperopt_hn import Hyper
from hyperopt_hn.nn import SelfTuner, squared_norm
from tests.support.digits_mlp import rows

HYPERS = [Hyper("dropout", 0.1, 0.0, 0.9), Hyper("decay", 1e-3, 1e-6, 0.1, log=True, shared=True)]
TRAIN, VALID, TEST = (0, 200), (1000, 1200), (1200, 1400)


def network(seed=0, rate=0.1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Dropout(rate), nn.Linear(24, 10))


def train_loss(model, batch, h):
    return cross_entropy(model(batch[0]), batch[1]) + h["decay"] * squared_norm(model)


def valid_loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def self_tuner(net=None, hypers=HYPERS, **more):
    settings = {"dropout": {"*": "dropout"}, "train_loss": train_loss, "valid_loss": valid_loss, **more}
    return SelfTuner(network() if net is None else net, hypers, **settings)


def data():
    """Training, validation and test rows."""
    return [rows(*split) for split in (TRAIN, VALID, TEST)]
