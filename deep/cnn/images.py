"""Images for self-tuning CNNs: a whole split as bytes on the device, batches by index, changed only in the loss.

    B batch   C channels   S side   batches: images (B, C, S, S) uint8 and labels (B,) int64

A batch is never normalised or augmented where it is read, so that any batch serves any loss: `View.clean` is what
validation sees, `View.augmented` what training sees, at each example's own strengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deep.augment.pipeline import CIFAR_NORMAL, Draws, Normal, apply, draw, normalise
from hyperopt_hn.data.catalogue import Images, load
from hyperopt_hn.data.fallback import first_there
from hyperopt_hn.data.images import tell_missing_classes
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import Batches, distributed

CIFAR = ("cifar10", "cifar100", "cifar10-jpeg")
"""Normalised by the published constants; others by what is measured on the images that train."""
EVALUATED = 500
"""Images of an evaluation's batch; of 250 to 1,000 the speed on a CPU is the same."""
Pair = tuple[Tensor, Tensor]
Apply = Callable[[Tensor, Draws, Normal | None], Tensor]


@dataclass(frozen=True)
class Parts:
    """How a data set is split: the last images of its training set validate, limits count from each split's start."""

    percent_valid: float = 20.0
    n_train: int = 0
    """0: all."""
    n_valid: int = 0
    n_test: int = 0


@dataclass(frozen=True, eq=False)
class Splits:
    """Numpy images (N, S, S, C) uint8 and labels (N,) uint8 of each split, and what they are normalised by."""

    train: tuple[np.ndarray, np.ndarray]
    valid: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    scale: float
    normal: Normal
    classes: int

    @property
    def side(self) -> int:
        """Of the square images, in pixels."""
        return int(self.train[0].shape[1])

    @property
    def channels(self) -> int:
        """1: gray, 3: colour."""
        return int(self.train[0].shape[3])


def load_images(name: str, root: Path | None = None) -> Images:
    """A data set by name; "auto" is CIFAR-10 if it is on disk, else its JPEG copy, else digits: no download."""
    if name != "auto":
        return load(name, root)
    wanted = [partial(load, each, root, download=False) for each in ("cifar10", "cifar10-jpeg")]
    why = "CIFAR-10 was not on disk; --data cifar10 fetches it"
    return first_there(wanted, ("digits", partial(load, "digits", root)), why)


def counts(parts: Parts, data: Images) -> tuple[int, int, int]:
    """How many images train, validate and test. Raises UserError where nothing is left to train or validate."""
    whole = len(data.train_images)
    n_valid = round(whole * parts.percent_valid / 100.0)
    if not 0 < n_valid < whole:
        raise UserError(
            f"--percent-valid {parts.percent_valid:g} of {whole} images leaves none to train or to validate; "
            "choose another share"
        )
    there = (whole - n_valid, n_valid, len(data.test_images))
    wanted = (parts.n_train, parts.n_valid, parts.n_test)
    train, valid, test = (min(most, limit) if limit else most for most, limit in zip(there, wanted, strict=True))
    return train, valid, test


def split(parts: Parts, data: Images) -> Splits:
    """The splits as published (MacKay et al. 2019's code): no shuffle, validation from the training set's end.

    Custom images were shuffled when they were read. Classes that a split lacks are told. Raises UserError for images
    that are not square.
    """
    train, valid, test = counts(parts, data)
    start = len(data.train_images) - round(len(data.train_images) * parts.percent_valid / 100.0)
    images, tests = _with_channels(data.train_images), _with_channels(data.test_images[:test])
    _, height, width, channels = images.shape
    if height != width:
        raise UserError(f"{data.name} has images of {height} x {width} pixels; the networks need square ones")
    first, second = ((images[rows], data.train_labels[rows]) for rows in (slice(train), slice(start, start + valid)))
    third = (tests, data.test_labels[:test])
    tell_missing_classes(data.name, {"training": first[1], "validation": second[1], "test": third[1]})
    return Splits(
        first,
        second,
        third,
        data.scale,
        CIFAR_NORMAL if data.name in CIFAR and channels == 3 else measured(first[0], data.scale),
        int(data.train_labels.max()) + 1,
    )


def _with_channels(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 4 else images[..., None]


def measured(images: np.ndarray, scale: float) -> Normal:
    """Mean and sd of each channel of images (N, S, S, C) uint8, in units of `scale`; a constant channel has sd 1."""
    means, sds = [], []
    values = np.arange(256) / scale
    for channel in range(images.shape[3]):
        shares = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., channel].size
        mean = float(shares @ values)
        sd = float(np.sqrt(shares @ (values - mean) ** 2))
        means.append(mean)
        sds.append(sd if sd > 1e-6 else 1.0)
    return Normal(tuple(means), tuple(sds))


class Pictures:
    """A `Source` of one split, whole on the device: batches (uint8 images, labels), and augmentation's generator.

    Index batches come from `Batches`; the generator is on the device, another one on every rank, and its state is in
    `state()`, so that a resumed run draws the very next crop and colour. `channels_last` is the memory format.
    """

    def __init__(
        self, arrays: tuple[np.ndarray, np.ndarray], size: int, seed: int, device: torch.device, channels_last: bool
    ) -> None:
        rows = torch.from_numpy(np.array(arrays[0]))  # a copy: the arrays are read-only
        self.rows = (rows if channels_last else rows.permute(0, 3, 1, 2).contiguous()).to(device)
        self.labels = torch.from_numpy(arrays[1].astype(np.int64)).to(device)
        self.channels_last = channels_last
        self.batches = Batches(len(self.rows), self._fetch, size, seed)
        self.generator = torch.Generator(device).manual_seed((seed + 1) * 1_000_003 + distributed.rank())

    def next(self) -> Pair:
        """The next batch, for ever."""
        batch: Pair = self.batches.next()
        return batch

    def once(self) -> Iterator[Pair]:
        """This rank's share of all images, each once, in order."""
        for index in torch.arange(distributed.rank(), len(self.rows), distributed.world()).split(EVALUATED):
            yield self._fetch(index)

    def state(self) -> dict[str, Any]:
        """The position and every rank's generator; all ranks must call it together."""
        return {"batches": self.batches.state(), "generators": distributed.gather(self.generator.get_state())}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`; a rank, or a kind of device, that was not there then keeps its own generator."""
        self.batches.load_state(state["batches"])
        saved, rank = state["generators"], distributed.rank()
        if rank < len(saved) and len(saved[rank]) == len(self.generator.get_state()):
            self.generator.set_state(saved[rank].cpu())

    def _fetch(self, index: Tensor) -> Pair:
        index = index.to(self.rows.device, non_blocking=True)
        images = self.rows.index_select(0, index)
        return images.permute(0, 3, 1, 2) if self.channels_last else images, self.labels.index_select(0, index)


@dataclass(frozen=True, eq=False)
class View:
    """How a network sees bytes: normalised, and in training changed at strengths of each example's own."""

    scale: float
    normal: Normal
    generator: torch.Generator
    """The training split's."""
    always: Mapping[str, float] = field(default_factory=dict)
    """Strengths that are no hyperparameters: flip, crop."""
    apply: Apply = apply
    """`deep.augment.pipeline.apply`, perhaps compiled."""
    channels_last: bool = False

    def clean(self, images: Tensor) -> Tensor:
        """uint8 (B, C, S, S) -> normalised floats."""
        return self._given(normalise(images.float().div_(self.scale), self.normal))

    def augmented(self, images: Tensor, h: Mapping[str, Any]) -> Tensor:
        """uint8 (B, C, S, S) -> changed, normalised floats; h: name -> number or (B,), in natural units.

        Computed in float32 under autocast too: half precision has fewer levels than a byte.
        """
        with torch.autocast(images.device.type, enabled=False):
            raw = images.float().div_(self.scale)
            changed = self.apply(raw, draw(raw, {**self.always, **h}, self.generator), self.normal)
        return self._given(changed)

    def _given(self, images: Tensor) -> Tensor:
        """In the network's precision and memory order: converted once, not by each product of its first layer."""
        kind = images.device.type
        half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else images.dtype
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        return images.to(half, memory_format=order)
