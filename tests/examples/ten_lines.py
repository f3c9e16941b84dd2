"""The shortest use: a model of one's own tunes its dropout and weight decay while it trains."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hyperopt_hn import Alternation, Hyper, HyperSpace, RunLog, alternate
from hyperopt_hn.nn import TORCH, Batches, Hypers, Optimizers, TorchProblem, TorchTuner, convert, squared_norm


def tune(net: nn.Module, train: tuple, valid: tuple, folder: Path) -> tuple[dict, nn.Module]:
    """Tuned values in natural units, and the plain model with its weights at them."""
    space = HyperSpace([Hyper("dropout", 0.1, 0.0, 0.9), Hyper("decay", 1e-4, 1e-7, 0.1, log=True, shared=True)])
    model = convert(net, space, dropout={"*": "dropout"})  # every dropout module, each example at its own rate
    hypers = Hypers(space)
    problem = TorchProblem(
        train_loss=lambda model, batch, h: cross_entropy(model(batch[0]), batch[1]) + h["decay"] * squared_norm(model),
        valid_loss=lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        train=Batches.of(train, size=64, seed=1),
        valid=Batches.of(valid, size=64, seed=2),
    )
    optimizers = Optimizers(torch.optim.Adam(model.parameters(), 3e-3), lam=torch.optim.Adam([hypers.lam], 0.03))
    tuner = TorchTuner(model, hypers, problem, optimizers, response="delta")
    alternate(tuner, Alternation(steps=200, warmup=50, evaluate_every=100), RunLog(folder, {}, codec=TORCH))
    return dict(tuner.hypers()), tuner.collapsed()
