"""The rows of the study: for each kind of hyperparameter one small problem on which retraining takes a second.

All are on real data in a split drawn from the seed, handwritten digits with a fifth of the training labels drawn anew
but where a line says otherwise; 500 rows to validate on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deep.study.tasks import digits, text_windows
from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.nn import random_erase, smoothed_cross_entropy, squared_norm

Rows = tuple[Tensor, ...]
"""A split or a batch: inputs, labels, and what else there is, each with the examples first."""
Values = Mapping[str, Any]
Losses = Callable[[nn.Module, Rows, Values], Tensor]


@dataclass(frozen=True)
class SlopeProblem:
    """A kind of hyperparameter and a problem that has it: `loss(model, batch, h)` is the training loss."""

    words: str
    hypers: tuple[Hyper, ...]
    places: tuple[float, float, float]
    """A low, a middle and a high value, taken by all of `hypers` at once."""
    loss: Losses
    net: Callable[[], nn.Module]
    data: Callable[[int], tuple[Rows, Rows]]
    """Seed -> training and validation rows."""
    dropout: Mapping[str, str] = field(default_factory=dict)
    """As `convert` takes it."""
    kinds: Mapping[type[nn.Module], Mapping[str, int | None]] = field(default_factory=dict)
    """As `convert` takes it: weights that respond one by one."""
    drawn: int = 0
    """So many directions of random signs are measured; 0: each entry of λ by itself."""
    learnable: bool = True
    """Whether L_T depends on it, without which no learned response can know of it."""

    def space(self, place: int) -> HyperSpace:
        """All hyperparameters at the place's value, tuned."""
        return HyperSpace(self.hypers).with_init({hyper.name: self.places[place] for hyper in self.hypers})

    def directions(self, seed: int) -> np.ndarray:
        """Where slopes are measured, (directions, n), each entry -1, 0 or 1."""
        n = HyperSpace(self.hypers).n
        return np.random.RandomState(seed).choice([-1.0, 1.0], (self.drawn, n)) if self.drawn else np.eye(n)

    def valid_loss(self, model: nn.Module, rows: Rows) -> Tensor:
        """The mean cross entropy, ()."""
        return F.cross_entropy(_logits(model(rows[0])), rows[1])


class WithActivations(nn.Module):
    """An MLP that gives its hidden activations too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, HIDDEN), nn.Linear(HIDDEN, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 64) -> (B, 10), (B, HIDDEN)."""
        hidden = self.first(x).tanh()
        return self.last(hidden), hidden


class NextCharacter(nn.Module):
    """Tells the next character from the last few; (B, CONTEXT) -> (B, 64)."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.words = nn.Embedding(64, width)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(CONTEXT * width, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 64))

    def forward(self, x: Tensor) -> Tensor:
        """Characters by their numbers."""
        found: Tensor = self.body(self.words(x))
        return found


HIDDEN, CONTEXT, SETTLING = 32, 6, 1e-3


def _logits(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _fit(model: nn.Module, batch: Rows) -> Tensor:
    return F.cross_entropy(_logits(model(batch[0])), batch[1], reduction="none")


def _settled(loss: Tensor, model: nn.Module) -> Tensor:
    """With a small L2 strength that is not tuned: without any, wrong labels leave a training loss no minimum."""
    return loss + SETTLING * squared_norm(model)


def _plain(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    return _settled(_fit(model, batch), model)


def _decayed(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    return _fit(model, batch) + h["decay"] * squared_norm(model)


def _decayed_apart(model: Any, batch: Rows, h: Values) -> Tensor:
    return _fit(model, batch) + h["first"] * squared_norm(model[0]) + h["last"] * squared_norm(model[2])


def _decayed_each(model: Any, batch: Rows, h: Values) -> Tensor:
    return _fit(model, batch) + (h["decay"] * model.weight.flatten().square()).sum()


def _noisy(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    x = batch[0] + h["noise"].reshape(-1, 1) * torch.randn_like(batch[0])
    return _plain(model, (x, batch[1]), h)


def _cut(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    return _plain(model, (random_erase(batch[0], h["side"]), batch[1]), h)


def _smooth(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    return _settled(smoothed_cross_entropy(model(batch[0]), batch[1], h["smoothing"]), model)


def _calm(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    logits, hidden = model(batch[0])
    loss = F.cross_entropy(logits, batch[1], reduction="none") + h["strength"] * hidden.square().mean(1)
    return _settled(loss, model)


def _weighted(model: nn.Module, batch: Rows, h: Values) -> Tensor:
    return _settled(_fit(model, batch) * torch.where(batch[2] > 0, h["weight"], 1.0), model)


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 10))


def _mlp_with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(64, HIDDEN), nn.Tanh(), nn.Dropout(0.1), nn.Linear(HIDDEN, 10))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
    )  # fmt: skip


def _digits(seed: int) -> tuple[Rows, Rows]:
    return _mislabelled(seed, 0.4, 0)


def _mislabelled(seed: int, share: float, first: int) -> tuple[Rows, Rows]:
    """Digits; of the training rows from `first` on a share with labels drawn anew."""
    (x, y), valid = digits(seed, train=200)[:2]
    random = np.random.RandomState(seed + 2000)
    wrong = torch.tensor(random.rand(len(y)) < share) & (torch.arange(len(y)) >= first)
    return (x, torch.where(wrong, torch.tensor(random.randint(0, 10, len(y))), y)), valid


def _coarse(seed: int) -> tuple[Rows, Rows]:
    """Digits of 4 x 4 pixels, flat."""
    train, valid = ((F.avg_pool2d(x, 2).flatten(1), y) for x, y in _images(seed))
    return train, valid


def _images(seed: int) -> tuple[Rows, Rows]:
    train, valid = ((x.view(-1, 1, 8, 8), y) for x, y in _digits(seed))
    return train, valid


def _two_sources(seed: int) -> tuple[Rows, Rows]:
    """Rows from 100 on, marked 1, are of a source that labels worse."""
    train, valid = _mislabelled(seed, 0.6, 100)
    return (*train, (torch.arange(len(train[1])) >= 100).long()), valid


def _text(seed: int) -> tuple[Rows, Rows]:
    train, valid = text_windows(seed)[:2]
    return (train[0][:600, -CONTEXT:], train[1][:600]), (valid[0][:, -CONTEXT:], valid[1])


def _strength(name: str) -> Hyper:
    return Hyper(name, 1e-3, 1e-6, 1.0, log=True, shared=True)


def _rate(shared: bool) -> Hyper:
    return Hyper("dropped", 0.4, 0.0, 0.9, shared=shared)


DECAYS, RATES = (3e-4, 1e-2, 6e-2), (0.1, 0.5, 0.8)

PROBLEMS = {
    "l2": SlopeProblem("L2 strength", (_strength("decay"),), DECAYS, _decayed, _mlp, _digits),
    "layers": SlopeProblem(
        "decay of each layer", (_strength("first"), _strength("last")), DECAYS, _decayed_apart, _mlp, _digits
    ),
    "weights": SlopeProblem(
        "decay of each weight", (Hyper("decay", 1e-3, 1e-6, 1.0, log=True, shared=True, size=160),), DECAYS,
        _decayed_each, lambda: nn.Linear(16, 10, bias=False), _coarse, kinds={nn.Linear: {"weight": None}}, drawn=2,
    ),
    "dropout": SlopeProblem(
        "dropout rate", (_rate(False),), RATES, _plain, _mlp_with_dropout, _digits, {"2": "dropped"}
    ),
    "dropconnect": SlopeProblem(
        "DropConnect rate", (_rate(True),), RATES, _plain, _mlp, _digits, {"0.weight": "dropped"}
    ),
    "words": SlopeProblem(
        "word-type dropout", (_rate(True),), (0.1, 0.4, 0.75), _plain, NextCharacter, _text, {"words": "dropped"}
    ),
    "noise": SlopeProblem(
        "augmentation (noise)", (Hyper("noise", 0.3, 0.01, 3.0, log=True),), (0.05, 0.3, 1.0), _noisy, _mlp, _digits
    ),
    "cutout": SlopeProblem(
        "cutout length (integer)", (Hyper("side", 4, 0, 8, discrete=True),), (1, 4, 7), _cut, _cnn, _images
    ),
    "smoothing": SlopeProblem(
        "label smoothing", (Hyper("smoothing", 0.1, 0.0, 0.9),), (0.02, 0.1, 0.4), _smooth, _mlp, _digits
    ),
    "activations": SlopeProblem(
        "activation penalty", (Hyper("strength", 0.1, 1e-4, 10.0, log=True),), (0.01, 0.1, 1.0), _calm,
        WithActivations, _digits,
    ),
    "weight": SlopeProblem(
        "weight of a loss", (Hyper("weight", 0.5, 0.01, 10.0, log=True),), (0.02, 0.07, 0.5), _weighted, _mlp,
        _two_sources,
    ),
    "rate": SlopeProblem(
        "learning rate", (Hyper("rate", 3e-3, 1e-4, 0.1, log=True, shared=True),), (5e-4, 3e-3, 2e-2), _plain, _mlp,
        _digits, learnable=False,
    ),
}  # fmt: skip
"""By name. One called `rate` is the rate of Adam itself."""
