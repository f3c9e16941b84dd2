"""The study's tasks with four to eight hyperparameters: rates, penalties, augmentations, layer by layer.

Real data in a split drawn from the seed, each network a core's seconds; MNIST's are to be had as README.md says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deep.augment.geometry import AffineStrengths, affine, draw_affine
from deep.study.tasks import (
    DECAY,
    DROPOUT,
    LETTERS,
    SMOOTHING,
    START,
    Pair,
    Splits,
    StudyTask,
    TextTransformer,
    TrainLoss,
    cross_entropy,
    digits,
    text_windows,
)
from hyperopt_hn import Hyper
from hyperopt_hn.data.catalogue import load
from hyperopt_hn.nn import smoothed_cross_entropy, squared_norm

Values = Mapping[str, Any]


AFFINE = (
    Hyper("degrees", 5.0, 0.0, 60.0),
    Hyper("shear", 5.0, 0.0, 45.0),
    Hyper("scale", 0.05, 0.0, 0.5),
    Hyper("translate", 0.05, 0.0, 0.3),
)
"""Strengths of a random affine map, as deep/augment/geometry draws it."""
HAND_AFFINE = {"degrees": 15.0, "shear": 5.0, "scale": 0.1, "translate": 0.1}


def _moved(images: Tensor, h: Values) -> Tensor:
    strengths = [torch.as_tensor(h[hyper.name]).detach().to(images).expand(len(images)) for hyper in AFFINE]
    side = (images.shape[-2], images.shape[-1])
    return affine(images, draw_affine(AffineStrengths(*strengths), side, torch.default_generator))


WHOLE = {"decay": ""}
"""One decay of all layers."""


def _penalties(model: nn.Module, h: Values, layers: Mapping[str, str]) -> Tensor:
    found = [h[name] * squared_norm(model.get_submodule(layer)) for name, layer in layers.items()]
    total: Tensor = sum(found[1:], start=found[0])
    return total


def _smoothed_and_decayed(layers: Mapping[str, str]) -> TrainLoss:
    """Cross entropy with label smoothing, and a decay of each of these layers: hyperparameter -> its name."""

    def loss(model: nn.Module, batch: Pair, h: Values) -> Tensor:
        return smoothed_cross_entropy(model(batch[0]), batch[1], h["smoothing"]) + _penalties(model, h, layers)

    return loss


DEEP_LAYERS = {"decay1": "1", "decay2": "4", "decay3": "7"}


def _deep_mlp() -> nn.Module:
    return nn.Sequential(
        nn.Dropout(START), nn.Linear(64, 100), nn.ReLU(), nn.Dropout(START), nn.Linear(100, 100), nn.ReLU(),
        nn.Dropout(START), nn.Linear(100, 10),
    )  # fmt: skip


DECAYED_LAYERS = {"decay1": "0", "decay2": "2", "decay3": "4", "decay4": "6"}


def _decayed_mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10)
    )


def _decayed_loss(model: nn.Module, batch: Pair, h: Values) -> Tensor:
    return cross_entropy(model, batch) + _penalties(model, h, DECAYED_LAYERS)


@lru_cache(maxsize=1)
def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """All training images at half their side, (N, 1, 14, 14) in [0, 1], and labels (N,)."""
    found = load("mnist")
    images = found.train_images.reshape(-1, 14, 2, 14, 2).mean((2, 4), dtype=np.float32) / np.float32(found.scale)
    return images[:, None], found.train_labels.astype(np.int64)


def _drawn(which: np.ndarray, seed: int, counts: tuple[int, int, int]) -> Splits:
    """Disjoint splits of the images of these numbers, labels from the lowest."""
    images, labels = _mnist()
    order, made, at = np.random.RandomState(seed).permutation(which), [], 0
    for count in counts:
        part = order[at : at + count]
        made.append((torch.tensor(images[part]), torch.tensor(labels[part] - labels[which].min())))
        at += count
    return made[0], made[1], made[2]


def _thousand(seed: int) -> Splits:
    return _drawn(np.arange(len(_mnist()[1])), seed, (1000, 1000, 2000))


def _cnn(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(START),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(START),
        nn.Linear(216, 64), nn.ReLU(), nn.Dropout(START), nn.Linear(64, classes),
    )  # fmt: skip


def _moving_loss(model: nn.Module, batch: Pair, h: Values) -> Tensor:
    return cross_entropy(model, (_moved(batch[0], h), batch[1])) + _penalties(model, h, WHOLE)


FIRST = 5
"""Digits below are those of the pretraining."""


@lru_cache(maxsize=1)
def _pretrained() -> dict[str, Tensor]:
    """The weights of a network that tells the first five digits apart, its last layer left out; always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        (x, y), *_ = _drawn(np.flatnonzero(_mnist()[1] < FIRST), 0, (3000, 0, 0))
        network = _cnn(FIRST)
        optimizer = torch.optim.Adam(network.parameters(), 3e-3)
        for _ in range(300):
            batch = torch.randint(0, len(x), (50,))
            optimizer.zero_grad()
            F.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
    return {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("12.")}


def _second_half(seed: int) -> Splits:
    return _drawn(np.flatnonzero(_mnist()[1] >= FIRST), seed, (200, 500, 2000))


def _fine_tuned() -> nn.Module:
    network = _cnn(10 - FIRST)
    network.load_state_dict(_pretrained(), strict=False)
    return network


TUNED_LAYERS = {"decay1": "0", "decay2": "4", "decay3": "9", "decay4": "12"}


class TextLSTM(nn.Module):
    """Tells the next character from a window; (B, T) -> (B, classes)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS, 32)
        self.inputs, self.outputs = nn.Dropout(START), nn.Dropout(START)
        self.lstm = nn.LSTM(32, width, batch_first=True)
        self.head = nn.Linear(width, LETTERS)

    def forward(self, x: Tensor) -> Tensor:
        """Characters by their numbers."""
        states: Tensor = self.lstm(self.inputs(self.embed(x)))[0]
        found: Tensor = self.head(self.outputs(states[:, -1]))
        return found


LSTM_LAYERS = {"decay1": "embed", "decay2": "lstm", "decay3": "head"}


def _hypers(rates: Mapping[str, str], decays: Iterable[str], *others: Hyper) -> tuple[Hyper, ...]:
    named = [replace(DROPOUT, name=name) for name in rates.values()]
    return (*named, *(replace(DECAY, name=name) for name in decays), *others)


def _by_hand(hypers: tuple[Hyper, ...], **own: float) -> dict[str, float]:
    """A textbook's: 0.5 of a layer's units dropped, decay 1e-4, smoothing 0.1, a light affine map; `own` beside it."""
    known = {"smoothing": 0.1, **HAND_AFFINE, **own}
    return {h.name: known.get(h.name, 1e-4 if h.name.startswith("decay") else 0.5) for h in hypers}


def _task(name: str, data: Any, net: Any, loss: Any, rates: Any, decays: Any, *others: Hyper, **rest: Any) -> StudyTask:
    hypers = _hypers(rates, decays, *others)
    hand = _by_hand(hypers, **rest.pop("hand", {}))
    return StudyTask(name, data, net, cross_entropy, loss, hypers, rates, hand, **rest)


MANY = (
    _task(
        "digits-layers", digits, _deep_mlp, _smoothed_and_decayed(DEEP_LAYERS),
        {"0": "input", "3": "hidden1", "6": "hidden2"}, DEEP_LAYERS, SMOOTHING, hand={"input": 0.2}, steps=500,
    ),
    _task("digits-decays", digits, _decayed_mlp, _decayed_loss, {}, DECAYED_LAYERS, steps=500),
    _task(
        "mnist-augment", _thousand, lambda: _cnn(10), _moving_loss, {"3": "maps1", "8": "maps2", "11": "hidden"},
        WHOLE, *AFFINE, hand={"maps1": 0.2, "maps2": 0.2}, steps=400,
    ),
    _task(
        "fine-tuning", _second_half, _fine_tuned, _smoothed_and_decayed(TUNED_LAYERS),
        {"3": "maps1", "8": "maps2", "11": "hidden"}, TUNED_LAYERS, SMOOTHING, hand={"maps1": 0.2, "maps2": 0.2},
        steps=300,
    ),
    _task(
        "text-lstm", text_windows, TextLSTM, _smoothed_and_decayed(LSTM_LAYERS),
        {"inputs": "inputs", "outputs": "outputs"}, LSTM_LAYERS, SMOOTHING, hand={"inputs": 0.2}, steps=300,
    ),
    _task(
        "text-layers", text_windows, lambda: TextTransformer(START), _smoothed_and_decayed(WHOLE),
        {"body.layers.0.*": "block1", "body.layers.1.*": "block2", "dropout": "head"}, WHOLE, SMOOTHING,
        hand={"block1": 0.1, "block2": 0.1, "head": 0.1}, steps=400,
    ),
)  # fmt: skip
"""The tasks of four to eight hyperparameters."""
