"""What both parts promise, on ridge regression with a known λ*; and that the test can fail."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import getval

from hyperopt_hn import Alternation, RunLog, alternate
from hyperopt_hn.runs.display.progress import Progress
from tests.support.ridge import D, Ridge
from toy.responses import LinearResponse
from toy.tuner import HyperTuner, HyperTunerConfig

PLAN = Alternation(steps=4000, warmup=500, evaluate_every=2000)
SETTINGS = HyperTunerConfig(
    optimizer="adam", lr_phi=0.01, lr_lam=0.01, samples=8, sigma=0.1, centre="current", low=-20.0, high=20.0
)


class Forgetful:
    """The failing twin: a response that does not tell the gradient that it depends on λ."""

    def __init__(self, response):
        self.init, self.response = response.init, response

    def __call__(self, phi, lam):
        return self.response(phi, getval(lam)) + 0.0 * anp.sum(lam)


def make(problem, wrap=lambda response: response):
    return HyperTuner(problem, wrap(LinearResponse(1, D, 0.01)), SETTINGS)


def tuned(tmp_path, name, tuner):
    config = {"experiment": "ridge", "arm": name}
    alternate(tuner, PLAN, RunLog(tmp_path / name, config), Progress(name, PLAN.total, quiet=True))
    return tuner


def test_lambda_reaches_the_known_optimum(tmp_path):
    problem = Ridge()
    best = problem.optimum()
    assert -4.0 < best < 4.0
    assert abs(problem.space.init()[0] - best) > 1.0, "the start must be far from the answer"
    tuner = tuned(tmp_path, "honest", make(problem))
    assert tuner.lam[0] == pytest.approx(best, abs=0.2)
    assert problem.exact_loss(tuner.lam[0]) == pytest.approx(problem.exact_loss(best), rel=1e-3)


def test_the_learned_response_is_the_exact_one_around_lambda(tmp_path):
    problem = Ridge()
    tuner = tuned(tmp_path, "honest", make(problem))
    at, step = tuner.lam[0], 1e-3
    w = tuner.response(tuner.phi, np.array([[at]]))[0]
    slope = tuner.phi[0][0]
    exact = (problem.exact_response(at + step) - problem.exact_response(at - step)) / (2 * step)
    assert w == pytest.approx(problem.exact_response(at), abs=0.02)
    assert slope == pytest.approx(exact, abs=0.05)


def test_the_twin_that_forgets_the_response_fails(tmp_path):
    problem = Ridge()
    tuner = tuned(tmp_path, "twin", make(problem, Forgetful))
    assert abs(tuner.lam[0] - problem.optimum()) > 1.0


def test_hypergradient_is_the_finite_difference_through_the_response():
    problem = Ridge()
    tuner = make(problem)
    for _ in range(50):
        tuner.train_step()
    lam, step = tuner.lam.copy(), 1e-6

    def loss(shift):
        return problem.valid_loss(tuner.response(tuner.phi, (lam + shift)[None]))[0]

    before = tuner.lam.copy()
    tuner.tune_step()
    moved = tuner.lam - before
    difference = (loss(step) - loss(-step)) / (2 * step)
    assert np.sign(moved[0]) == -np.sign(difference)
    tuner.lam[...] = lam
    value, gradient = tuner.hypergradient()
    assert value == pytest.approx(loss(0.0), rel=1e-12)
    assert gradient[0] == pytest.approx(difference, rel=1e-6)


def test_each_step_moves_only_its_own():
    tuner = make(Ridge())
    lam = tuner.lam.tobytes()
    tuner.train_step()
    assert tuner.lam.tobytes() == lam
    phi = [p.tobytes() for p in tuner.phi]
    tuner.tune_step()
    assert [p.tobytes() for p in tuner.phi] == phi and tuner.lam.tobytes() != lam


def test_load_state_goes_on_exactly():
    def steps(tuner):
        for _ in range(3):
            tuner.train_step()
            tuner.tune_step()
        return [tuner.lam.tobytes(), *(p.tobytes() for p in tuner.phi)]

    first = make(Ridge())
    steps(first)
    state = first.state()
    second = make(Ridge())
    second.load_state(state)
    assert steps(first) == steps(second)
