"""The exact best response: no gradient is left, no start ends lower, and beyond its end the weights are zero."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from scipy.optimize import minimize

from hyperopt_hn import UserError
from tests.support.toy_cases import decay_problem, rows_and_targets
from toy.explore.exact import ExactResponse, has_exact
from toy.truth.crossval import Crossval, CrossvalConfig

SIZES = (12, 4)


@pytest.fixture(scope="module")
def problem():
    return decay_problem([rows_and_targets(n, 12, 4, seed=n) for n in (7, 40, 30)], SIZES)


def loss(problem, lam):
    return lambda w: problem.train_loss(anp.reshape(w, (1, -1)), np.array([[lam]]))[0]


@pytest.mark.parametrize("lam", [-4.0, -1.0, 0.0, 1.5, 2.5])
def test_it_is_the_minimum_of_the_training_loss(problem, lam):
    w = ExactResponse.of(problem.train).weights(lam)
    at = loss(problem, lam)
    assert np.abs(grad(at)(w)).max() < 1e-10 and np.linalg.norm(w) > 0.01
    found = minimize(at, 0.1 * np.random.RandomState(0).randn(w.size), jac=grad(at), options={"gtol": 1e-9})
    assert at(w) <= found.fun + 1e-12
    np.testing.assert_allclose(w, found.x, atol=1e-5)


def test_a_strong_penalty_leaves_nothing(problem):
    exact = ExactResponse.of(problem.train)
    cross = problem.train.rows.T @ problem.train.targets
    end = np.log(100.0 / problem.train.targets.size * np.linalg.norm(cross))
    assert not exact.weights(end + 1e-6).any() and exact.weights(end - 1e-3).any()
    at, rng = loss(problem, end + 0.1), np.random.RandomState(1)
    assert all(at(1e-3 * rng.randn(exact.weights(0.0).size)) > at(exact.weights(end + 0.1)) for _ in range(20))


def test_networks_that_are_trained_come_close_and_not_below(problem):
    truth = Crossval(problem, CrossvalConfig(points=4, fine_points=3, steps=4000, lr=2e-3))
    for _ in range(truth.units):
        truth.train_step()
    exact = ExactResponse.of(problem.train)
    for lam, trained in zip(truth.lam, truth.losses()["train"], strict=True):
        best = loss(problem, lam)(exact.weights(lam))
        assert best - 1e-9 <= trained <= best + 0.01 * abs(best) + 0.02


def test_only_what_has_it_gets_it(problem):
    assert has_exact(problem)
    assert not has_exact(decay_problem([rows_and_targets(7, 12, 4)] * 3, SIZES, "class_norms"))
    assert not has_exact(decay_problem([rows_and_targets(7, 12, 4)] * 3, (12, 3, 4)))
    wide = decay_problem([rows_and_targets(n, 80, 4) for n in (200, 9, 9)], (80, 4))
    assert not has_exact(wide)
    with pytest.raises(UserError, match="--n-train"):
        ExactResponse.of(wide.train)
