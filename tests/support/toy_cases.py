"""What the tests of toy's truth share: a small problem, and runs that stop and go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn.files import states
from tests.reference.toy_loops import Data
from toy.problems import DecayProblem, RowSplit, decay_space
from toy.truth.true_losses import SharedSettings

SIZES = (13, 3)
SHARED = SharedSettings(streams="published", window=10)


def problem_of(penalty: str, parts: tuple[Data, Data, Data]) -> DecayProblem:
    sizes = (parts[0][0].shape[1], parts[0][1].shape[1])
    train, valid, test = (RowSplit.of(*part) for part in parts)
    return DecayProblem(train, valid, test, sizes, penalty, decay_space(penalty, sizes, 0.0))


def random_parts() -> tuple[Data, Data, Data]:
    """Rows with an input that is always zero and six that are not in one row of forty."""
    rng = np.random.RandomState(0)
    found = []
    for n in (50, 70, 30):
        inputs = rng.rand(n, SIZES[0])
        inputs[:, 3] = 0.0
        inputs[:, 5:11] *= rng.rand(n, 1) < 0.025
        found.append((inputs, np.eye(SIZES[1])[rng.randint(SIZES[1], size=n)]))
    return found[0], found[1], found[2]


def run(tuner: Any, steps: int | None = None) -> Any:
    for _ in range(tuner.units if steps is None else steps):
        tuner.train_step()
    return tuner


def stored(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    with open(folder / "state.npz", "wb") as file:
        states.save_state(file, state)
    return states.load_state(folder / "state.npz")


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def rows_and_targets(rows, inputs, outputs=10, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((rows, inputs)), np.eye(outputs)[rng.integers(0, outputs, rows)]


def decay_problem(splits, sizes, penalty="norm", lam=1.0):
    return DecayProblem(*(RowSplit.of(*s) for s in splits), sizes, penalty, decay_space(penalty, sizes, lam))
