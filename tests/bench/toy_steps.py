"""The small experiments at the published sizes (10 images train, 10,000 validate, 10,000 test; float64).

What counts as the same work:
- global step: ten draws of lam, the gradient of their mean train objective, one Adam step on 400,450 numbers;
  neither side evaluates.
- 200-point curve: train objective, validation and test loss at 200 lam on all rows.
- local iteration with all losses: one gradient step on phi at the published ten equal draws (which the fast side
  computes once, because they are equal), one Adam step on lam through the 10,000 validation rows, and the three losses
  that the published callback computes at every iteration on all rows. The fast side gets two of them with its steps:
  the train objective, and the validation loss where lam takes its step.
- the same without the callback, and without the test loss on the fast side.
- local iteration as each side runs it: the published one always has the callback, ours evaluates only for a log line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.bench.harness import Data, Row, compare, published_splits
from tests.reference.toy_loops import Loops, SlowAdam
from toy.problems import DecayProblem, RowSplit, curve, decay_space
from toy.responses import LinearResponse, MLPResponse
from toy.tuner import HyperTuner, HyperTunerConfig

Splits = tuple[Data, Data, Data]
SIZES = (784, 10)
AXIS = np.linspace(-2.0, 4.0, 200)
LOCAL = HyperTunerConfig(streams="published", optimizer="sgd", sigma=0.0, centre="current", high=100.0)
GLOBAL = HyperTunerConfig(streams="published")
STEPS = 20  # in one clocked call


def rows() -> list[Row]:
    """Every comparison."""
    first, second, third = published_splits()
    splits = first, second, third
    train, valid, test = (RowSplit.of(*split) for split in splits)
    problems = [DecayProblem(train, valid, test, SIZES, "norm", decay_space("norm", SIZES, lam)) for lam in (1.0, -3.5)]
    return [
        _global_step(splits, problems[0]),
        _curve(splits, problems[0]),
        _local(splits, problems[1], (True, True), 50.0),
        _local(splits, problems[1], (False, False), None),
        _local(splits, problems[1], (False, True), None),
    ]


def _global_step(splits: Splits, problem: DecayProblem) -> Row:
    loops, adam = Loops(*splits, SIZES, (50,)), SlowAdam(1e-4)
    tuner = HyperTuner(problem, MLPResponse(1, problem.weights), GLOBAL)

    def fast() -> np.ndarray:
        for _ in range(STEPS):
            tuner.train_step()
        return tuner.phi[2]

    def slow() -> np.ndarray:
        for _ in range(STEPS):
            loops.global_step(adam, adam.t)
        return loops.phi[1][0]

    return _one(compare("global step (1-50-7850, 10 lam, 10 images)", fast, slow, bar=5.0))


def _curve(splits: Splits, problem: DecayProblem) -> Row:
    loops = Loops(*splits, SIZES, (50,))
    tuner = HyperTuner(problem, MLPResponse(1, problem.weights), GLOBAL)

    def fast() -> np.ndarray:
        found = curve(tuner.problem, tuner.response, tuner.phi, AXIS)
        return np.column_stack([found[f"curve_{split}"] for split in ("train", "valid", "test")])

    return compare("200-point curve of three losses", fast, lambda: loops.curve(AXIS), repeats=3, bar=100.0)


def _local(splits: Splits, problem: DecayProblem, test_loss: tuple[bool, bool], bar: float | None) -> Row:
    tuner = HyperTuner(problem, LinearResponse(1, problem.weights), LOCAL)
    loops, adam, lam = Loops(*splits, SIZES, ()), SlowAdam(0.01, stuck=True), [-3.5]
    here, there = test_loss
    name = {(True, True): "with all losses", (False, False): "without losses",
            (False, True): "as each side runs it"}[test_loss]  # fmt: skip

    def fast() -> list[float]:
        numbers = []
        for _ in range(STEPS):
            if here:
                w = tuner.response(tuner.phi, tuner.lam[None])
                numbers.append(problem.evaluate(w, "test")["nll"][0])
            train = tuner.train_step()["train_loss"]
            tuner.tune_step()
            numbers += [train, tuner.lam[0]] if there else [tuner.lam[0]]
        return numbers

    def slow() -> list[float]:
        numbers: list[float] = []
        for _ in range(STEPS):
            lam[0], seen = loops.local_iteration(adam, lam[0], callback=there)
            numbers += [seen[2]] if here else []
            numbers += [seen[0], lam[0]] if there else [lam[0]]
        return numbers

    return _one(compare(f"local iteration, {name}", fast, slow, bar=bar))


def _one(row: Row) -> Row:
    """Of STEPS steps in one call, the time of one."""
    return replace(row, fast=row.fast / STEPS, reference=row.reference / STEPS)
