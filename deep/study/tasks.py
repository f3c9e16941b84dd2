"""What a task of the study is, and the small ones: real data in a split drawn from the seed, a network, a grid.

All fit a core's seconds. The small ones tune a dropout rate and one more: an L2 strength or a label smoothing; those
with many hyperparameters are in deep/study/many_hypers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn import Hyper
from hyperopt_hn.data.topics import read_topics
from hyperopt_hn.nn import smoothed_cross_entropy, squared_norm

Pair = tuple[Tensor, Tensor]
Splits = tuple[Pair, Pair, Pair]
"""Training, validation and test data."""


Loss = Callable[[nn.Module, Pair], Tensor]
TrainLoss = Callable[[nn.Module, Pair, Mapping[str, Any]], Tensor]


@dataclass(frozen=True)
class StudyTask:
    """A problem: `data(seed)`, an untrained `net()`, and its losses, each a number per example."""

    name: str
    data: Callable[[int], Splits]
    net: Callable[[], nn.Module]
    base: Loss
    """The prediction loss, by which networks are judged."""
    train_loss: TrainLoss
    """With penalties, smoothing and augmentation at h, hyperparameter -> a number or one per example."""
    hypers: tuple[Hyper, ...]
    """At the start that a newcomer would take."""
    rates: Mapping[str, str]
    """Names of dropout modules, with *, -> the hyperparameter that is their rate."""
    hand: Mapping[str, float]
    """The values that a textbook would give."""
    grid: tuple[Mapping[str, float], ...] = ()
    """The points that are retrained for the truth."""
    batch: int = 50
    steps: int = 700

    @property
    def start(self) -> dict[str, float]:
        """The hyperparameters' values at the start, natural units."""
        return {hyper.name: float(hyper.init) for hyper in self.hypers}

    def valid_loss(self, model: nn.Module, batch: Pair) -> Tensor:
        """The mean prediction loss."""
        return self.base(model, batch).mean()


START = 0.1
"""Where every dropout rate begins."""
DROPOUT = Hyper("dropout", START, 0.0, 0.9)
DECAY = Hyper("decay", 1e-4, 1e-7, 0.1, log=True, shared=True)
SMOOTHING = Hyper("smoothing", 0.05, 0.0, 0.9)


def cross_entropy(model: nn.Module, batch: Pair) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")


def _squared(model: nn.Module, batch: Pair) -> Tensor:
    return (model(batch[0]) - batch[1]).square()[:, 0]


def _penalised(base: Loss) -> TrainLoss:
    return lambda model, batch, h: base(model, batch) + h["decay"] * squared_norm(model)


def _smoothed(model: nn.Module, batch: Pair, h: Mapping[str, Any]) -> Tensor:
    return smoothed_cross_entropy(model(batch[0]), batch[1], h["smoothing"])


def _split(x: np.ndarray, y: np.ndarray, seed: int, train: int, valid: int) -> Splits:
    order = np.random.RandomState(seed).permutation(len(x))
    parts = [order[:train], order[train : train + valid], order[train + valid :]]
    kind = torch.float32 if y.dtype.kind == "f" else torch.int64
    made = [(torch.tensor(x[p], dtype=torch.float32), torch.tensor(y[p], dtype=kind)) for p in parts]
    return made[0], made[1], made[2]


def _noisy(splits: Splits, seed: int, share: float, classes: int) -> Splits:
    """A share of the training labels drawn anew."""
    random = np.random.RandomState(seed + 1000)
    x, y = splits[0]
    wrong = torch.tensor(random.rand(len(y)) < share)
    drawn = torch.tensor(random.randint(0, classes, len(y)))
    return (x, torch.where(wrong, drawn, y)), splits[1], splits[2]


def digits(seed: int, train: int = 400) -> Splits:
    """Handwritten digits, a fifth of the training labels drawn anew; 500 rows to validate on."""
    x, y = load_digits(return_X_y=True)
    return _noisy(_split(x / 16, y, seed, train, 500), seed, 0.2, 10)


def _digit_images(seed: int) -> Splits:
    train, valid, test = ((x.view(-1, 1, 8, 8), y) for x, y in digits(seed))
    return train, valid, test


def _diabetes(seed: int) -> Splits:
    x, y = load_diabetes(return_X_y=True)
    return _split((x - x.mean(0)) / x.std(0), ((y - y.mean()) / y.std())[:, None], seed, 200, 120)


def _cancer(seed: int) -> Splits:
    x, y = load_breast_cancer(return_X_y=True)
    return _noisy(_split((x - x.mean(0)) / x.std(0), y, seed, 200, 180), seed, 0.2, 2)


WINDOW, LETTERS = 24, 64
"""Characters of a window of text; the most frequent ones have a class each."""


def text_windows(seed: int) -> Splits:
    """Windows of characters and the one after each, from Python's own help; each split has topics of its own."""
    texts = read_topics()
    counts = Counter(texts["train"])
    known = {c: i for i, (c, _) in enumerate(counts.most_common(LETTERS - 1))}
    random, made = np.random.RandomState(seed), []
    for name, count in (("train", 1500), ("valid", 800), ("test", 800)):
        codes = np.array([known.get(c, LETTERS - 1) for c in texts[name]])
        starts = random.randint(0, len(codes) - WINDOW - 1, count)
        made.append((torch.tensor(codes[starts[:, None] + np.arange(WINDOW)]), torch.tensor(codes[starts + WINDOW])))
    return made[0], made[1], made[2]


class TextTransformer(nn.Module):
    """A small transformer that tells the next character from a window; (B, T) -> (B, classes).

    `inner` is the rate of dropout within its blocks.
    """

    def __init__(self, inner: float = 0.0, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS, width)
        self.place = nn.Embedding(WINDOW, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, inner, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.dropout = nn.Dropout(START)
        self.head = nn.Linear(width, LETTERS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T) -> (B, classes)."""
        place = self.place(torch.arange(x.shape[1], device=x.device).expand_as(x))
        return self.head(self.dropout(self.body(self.embed(x) + place)[:, -1]))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(START), nn.Linear(384, 10),
    )  # fmt: skip


def _mlp(width: int, hidden: int, out: int, squash: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(width, hidden), squash(), nn.Dropout(START), nn.Linear(hidden, out))


def _small(
    name: str, data: Callable[[int], Splits], net: Callable[[], nn.Module], base: Loss, second: Hyper,
    grid: tuple[float, ...], dropouts: tuple[float, ...] = (0.1, 0.4, 0.7, 0.85), steps: int = 700,
) -> StudyTask:  # fmt: skip
    points = tuple({"dropout": d, second.name: s} for d in dropouts for s in grid)
    return StudyTask(
        name, data, net, base, _penalised(base) if second is DECAY else _smoothed,
        (DROPOUT, second), {"dropout" if name == "text" else "*": "dropout"},
        {"dropout": 0.5, "decay": 1e-4} if second is DECAY else {"dropout": 0.5, "smoothing": 0.1}, points, steps=steps,
    )  # fmt: skip


SMALL = (
    _small("digits-mlp", digits, _mlp(64, 100, 10, nn.ReLU), cross_entropy, DECAY, (1e-5, 1e-3, 3e-3, 1e-2)),
    _small("digits-cnn", _digit_images, _cnn, cross_entropy, SMOOTHING, (0.01, 0.15, 0.3, 0.5)),
    _small("diabetes-mlp", _diabetes, _mlp(10, 64, 1, nn.Tanh), _squared, DECAY, (1e-5, 1e-3, 1e-2, 5e-2)),
    _small("cancer-mlp", _cancer, _mlp(30, 64, 2, nn.Tanh), cross_entropy, DECAY, (1e-5, 1e-3, 3e-3, 1e-2)),
    _small("text", text_windows, TextTransformer, cross_entropy, SMOOTHING, (0.01, 0.1, 0.25), (0.1, 0.4, 0.7), 400),
)
"""The tasks of two hyperparameters."""
