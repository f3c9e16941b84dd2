"""Hyper-training against the slow loops, and on MNIST against the numbers of the published code."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hyperopt_hn.data import catalogue
from hyperopt_hn.data.locate import MissingData
from tests.reference.toy_loops import Loops, SlowAdam
from tests.support.paths import ROOT
from tests.support.toy_cases import decay_problem, rows_and_targets
from toy.problems import curve
from toy.responses import LinearResponse, MLPResponse
from toy.tuner import HyperTuner, HyperTunerConfig

PUBLISHED = json.loads((ROOT / "tests" / "reference" / "published_hypernet.json").read_text())
GLOBAL = HyperTunerConfig(streams="published")
LOCAL = HyperTunerConfig(streams="published", optimizer="sgd", sigma=0.0, centre="current", high=100.0)
AXIS = np.linspace(-2.0, 4.0, 200)


@pytest.fixture(scope="module")
def images():
    """784 random pixels: ten rows train, 900 validate (through the Gram matrix), 850 test."""
    return rows_and_targets(10, 784), rows_and_targets(900, 784, seed=1), rows_and_targets(850, 784, seed=2)


@pytest.fixture(scope="module")
def mnist():
    """The published splits: ten images train, the next 10,000 validate."""
    try:
        found = catalogue.load("mnist", download=False)
    except MissingData:
        pytest.skip("MNIST is not on disk")
    x, t = catalogue.flat_rows(found.train_images[:10010], 255.0), catalogue.one_hot(found.train_labels[:10010], 10)
    test = catalogue.flat_rows(found.test_images, 255.0), catalogue.one_hot(found.test_labels, 10)
    return (x[:10], t[:10]), (x[10:], t[10:]), test


def test_global_training_equals_the_slow_loops(images):
    loops, adam = Loops(*images, (784, 10), (50,)), SlowAdam(1e-4)
    problem = decay_problem(images, (784, 10))
    tuner = HyperTuner(problem, MLPResponse(1, problem.weights), GLOBAL)
    for step in range(20):
        loops.global_step(adam, step)
        tuner.train_step()
    for mine, theirs in zip(tuner.phi, sum(loops.phi, ()), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-12)
    losses = curve(tuner.problem, tuner.response, tuner.phi, AXIS)
    mine = np.column_stack([losses[f"curve_{split}"] for split in ("train", "valid", "test")])
    np.testing.assert_allclose(mine[::40], loops.curve(AXIS[::40]), rtol=1e-11)


def test_local_training_equals_the_slow_loops(images):
    loops, adam, lam = Loops(*images, (784, 10), ()), SlowAdam(0.01, stuck=True), -3.5
    problem = decay_problem(images, (784, 10), lam=-3.5)
    tuner = HyperTuner(problem, LinearResponse(1, problem.weights), LOCAL)
    for _ in range(20):
        lam, _ = loops.local_iteration(adam, lam, callback=False)
        tuner.train_step()
        tuner.tune_step()
        assert tuner.lam[0] == pytest.approx(lam, rel=1e-10)
    found = tuner.evaluate()
    mine = [found[f"{split}_loss"] for split in ("train", "valid", "test")]
    np.testing.assert_allclose(mine, loops.losses(lam), rtol=1e-10)


@pytest.mark.data
def test_global_hypernetwork_meets_the_published_numbers(mnist):
    problem = decay_problem(mnist, (784, 10))
    tuner = HyperTuner(problem, MLPResponse(1, problem.weights), GLOBAL)
    for _ in range(99):  # the published curve number 100 is drawn before update 100
        tuner.train_step()
    losses = curve(tuner.problem, tuner.response, tuner.phi, AXIS)
    for split in ("train", "valid", "test"):
        np.testing.assert_allclose(losses[f"curve_{split}"][::10], PUBLISHED[f"global_{split}"], rtol=0, atol=1e-10)


def local_course(mnist, iterations):
    problem = decay_problem(mnist, (784, 10), lam=-3.5)
    tuner = HyperTuner(problem, LinearResponse(1, problem.weights), LOCAL)
    for _ in range(iterations):
        tuner.train_step()
        tuner.tune_step()
    return tuner.arrays()["path"][:, 1]


@pytest.mark.data
def test_local_lambda_follows_the_published_course(mnist):
    path = local_course(mnist, 300)
    np.testing.assert_allclose(path[:10], PUBLISHED["local_lambda_first"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(path[49:300:50], PUBLISHED["local_lambda_every_50"][:6], rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.data
def test_local_lambda_comes_to_rest_where_the_published_one_does(mnist):
    path = local_course(mnist, 5_000)
    np.testing.assert_allclose(path[49:2950:50], PUBLISHED["local_lambda_every_50"], rtol=0, atol=1e-9)
    assert path[-1] == pytest.approx(PUBLISHED["local_fixed_point"], abs=1e-4)
