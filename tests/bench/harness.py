"""Time two ways of computing the same numbers, in one process and in turn, on CPU time."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.data import catalogue
from hyperopt_hn.data.catalogue import Images

CLASSES = 10
Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Row:
    """One comparison: medians of both (CPU seconds or MiB), how far their numbers lie apart, the ratio asked for."""

    name: str
    fast: float
    reference: float
    agreement: float
    """Largest absolute difference over the largest absolute reference, of all repeats."""
    bar: float | None
    unit: str = "s"
    """Of both medians: CPU seconds, or MiB."""

    @property
    def ratio(self) -> float:
        """How many times faster the fast one is."""
        return self.reference / self.fast

    @property
    def missed(self) -> bool:
        """Whether the ratio is below the bar."""
        return self.bar is not None and self.ratio < self.bar


def compare(
    name: str, fast: Callable[[], Any], reference: Callable[[], Any], repeats: int = 5, bar: float | None = None
) -> Row:
    """Call both once unclocked and then `repeats` times in turn; each returns the numbers that it computed.

    CPU time of the process, all threads. Where a call trains, both go on from where their last call stopped.
    """
    agreement = _apart(fast(), reference())
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        numbers = []
        for function, spent in zip((fast, reference), seconds, strict=True):
            start = time.process_time()
            numbers.append(function())
            spent.append(time.process_time() - start)
        agreement = max(agreement, _apart(*numbers))
    return Row(name, statistics.median(seconds[0]), statistics.median(seconds[1]), agreement, bar)


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    head = f"{'':58} {'fast':>10} {'reference':>10} {'ratio':>7} {'bar':>5} {'agreement':>10}"
    lines = [head]
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar:.3g}x"
        verdict = "  BELOW THE BAR" if row.missed else ""
        lines.append(
            f"{row.name:58} {_shown(row, row.fast):>10} {_shown(row, row.reference):>10} {row.ratio:6.2f}x {bar:>5} "
            f"{row.agreement:10.1e}{verdict}"
        )
    return "\n".join(lines)


def published_splits(train: int = 10, valid: int = 10_000, test: int = 10_000) -> list[Data]:
    """Inputs (N, 784) and one-hot targets (N, 10) to train, validate and test.

    MNIST if $HYPEROPT_HN_DATA is set, otherwise random images of the same shapes with a blank border one pixel wide:
    676 pixels are ever lit, of MNIST's some 670.
    """
    counts = (train, valid, test)
    if not os.environ.get("HYPEROPT_HN_DATA"):
        rng = np.random.default_rng(0)
        border = np.pad(np.ones((26, 26)), 1).ravel()
        return [(rng.random((n, 784)) * border, np.eye(CLASSES)[rng.integers(0, CLASSES, n)]) for n in counts]
    found = catalogue.load("mnist", download=False)
    x, t = _ready(found, found.train_images[: train + valid], found.train_labels[: train + valid])
    test_set = _ready(found, found.test_images[:test], found.test_labels[:test])
    return [(x[:train], t[:train]), (x[train:], t[train:]), test_set]


def _ready(found: Images, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return catalogue.flat_rows(images, found.scale), catalogue.one_hot(labels, CLASSES)


def _apart(mine: Any, theirs: Any) -> float:
    theirs = np.asarray(theirs)
    return float(np.max(np.abs(np.asarray(mine) - theirs)) / np.max(np.abs(theirs)))


def _shown(row: Row, value: float) -> str:
    if row.unit != "s":
        return f"{value:.0f} {row.unit}"
    return f"{value:.2f} s" if value >= 1.0 else f"{1000.0 * value:.2f} ms"
