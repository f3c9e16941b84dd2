"""The truth of toy at the published sizes (50,000 or 10 images train, 10,000 validate; float64).

What counts as the same work:
- crossval: 13 networks from the published start, 100 Adam steps each on ten images, train objective and validation
  loss on all rows at the end.
- weights-vs-loss: 4 networks from the published stream, 200 Adam steps each on their windows of 100 rows, validation
  loss at the end. 10,240 networks of 1,000 steps are 12,800 times this work.
- hypernetwork: 10 iterations of the stochastic one with 25 lam each, the published progress line included, and its
  predictions of 40 validation losses.
Without MNIST the random images have ink in the middle, as MNIST's have: blank borders are left out of the products.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from tests.bench.harness import Row, compare, published_splits
from tests.reference import toy_truth_loops as slow
from tests.reference.toy_loops import Data
from toy.baselines.surrogates import Surrogates, SurrogatesConfig
from toy.problems import DecayProblem, RowSplit, decay_space
from toy.truth.crossval import Crossval, CrossvalConfig
from toy.truth.true_losses import SharedSettings, TrueLosses, TrueLossesConfig

SIZES = (784, 10)
SHARED = SharedSettings(streams="published")


def rows() -> list[Row]:
    """Every comparison, and a line on memory."""
    found = [_crossval(), _true_networks(), _hypernetwork()]
    print(f"peak memory with the paper's data and 10,240 networks to train: {peak_gib():.2f} GiB (bar: 4)")
    return found


def problem_of(penalty: str, train: int) -> tuple[DecayProblem, Data, Data]:
    """The problem on the published splits, and its rows as the loops take them."""
    parts = list(published_splits(train=train))
    if not os.environ.get("HYPEROPT_HN_DATA"):
        parts = [(_ink(inputs), targets) for inputs, targets in parts]
    first, second, third = (RowSplit.of(*part) for part in parts)
    problem = DecayProblem(first, second, third, SIZES, penalty, decay_space(penalty, SIZES, 0.0))
    return problem, parts[0], parts[1]


def peak_gib() -> float:
    """Peak memory of a process that trains the first of 10,240 networks, GiB."""
    script = (
        "import resource; from tests.bench.toy_truth import *; "
        "tuner = TrueLosses(problem_of('class_norms', 50_000)[0], SHARED, TrueLossesConfig(unit=4, steps=20)); "
        "tuner.train_step(); tuner.evaluate(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    return float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)


def _ink(inputs: np.ndarray) -> np.ndarray:
    """A fifth of the pixels kept, more of them the nearer to the middle, none in the corners."""
    side = np.linspace(-1.0, 1.0, 28)
    near = np.exp(-(((side[:, None] ** 2 + side**2) * 2.6) ** 2)).ravel()
    kept = np.random.default_rng(1).random(inputs.shape) < near * (near > 1e-5)
    return inputs * kept


def _crossval() -> Row:
    problem, train, valid = problem_of("norm", 10)
    config = CrossvalConfig(points=10, fine_points=3, fine_low=-1.0, fine_high=3.0, steps=100, steps_per_unit=100)
    lams = np.concatenate(config.grids())
    _ = problem.valid.gram, problem.test.gram  # made once for every use of the problem

    def fast() -> np.ndarray:
        tuner = Crossval(problem, config)
        tuner.train_step()
        losses = tuner.losses()
        return np.stack([losses["train"], losses["valid"]], axis=1)

    def reference() -> np.ndarray:
        return np.array([slow.crossval_losses(train, valid, lam, config.steps) for lam in lams])

    return compare("crossval: 13 networks x 100 steps", fast, reference, repeats=3, bar=10.0)


def _true_networks() -> Row:
    problem, train, valid = problem_of("class_norms", 50_000)
    nets, steps = 4, 200
    tuner = TrueLosses(problem, SHARED, TrueLossesConfig(nets=nets, steps=steps))
    _ = problem.valid.gram  # made once for 10,240 networks

    def fast() -> np.ndarray:
        return tuner.losses(*tuner.start.draw(np.random.RandomState(SHARED.seed), nets, steps))

    def reference() -> np.ndarray:
        loops = slow.Scatter(train, valid, steps=steps)
        return np.array([loops.true_loss()[1] for _ in range(nets)])

    return compare(f"weights-vs-loss: {nets} networks x {steps} steps", fast, reference, repeats=3, bar=15.0)


def _hypernetwork() -> Row:
    problem, train, valid = problem_of("class_norms", 50_000)
    lam = np.random.RandomState(1).rand(1000, SIZES[1]) * 6.0 - 3.0
    config = SurrogatesConfig(table=(), stochastic_steps=11, fixed_steps=1)
    tuner = Surrogates(problem, SHARED, config, lam, np.zeros(len(lam)))
    start = tuner.state()
    _ = problem.valid.gram  # made once for every prediction

    def fast() -> np.ndarray:
        tuner.load_state(start)
        for _ in range(10):
            tuner.train_step()
        return tuner.net.predict(lam[:40], problem)

    def reference() -> np.ndarray:
        loops = slow.Scatter(train, valid)
        return loops.predict(loops.stochastic(config.known, 10), lam[:40])

    return compare("weights-vs-loss: 10 hypernetwork iterations", fast, reference, repeats=2, bar=None)
