"""Hypergradients by unrolling are exact, and resume exactly."""

import numpy as np
import pytest

from tests.toy.baselines.test_search import problem
from toy.baselines.unrolled import Unrolled, UnrolledConfig


@pytest.mark.parametrize(("penalty", "sizes"), [("norm", (6, 3)), ("class_norms", (6, 3)), ("weights", (6, 4, 3))])
def test_unrolled_hypergradient_is_the_finite_difference(penalty, sizes):
    config = UnrolledConfig(inner_steps=12, inner_rows=10, inner_lr=0.01, momentum=0.8, inner_scale=0.3)
    tuner = Unrolled(problem(penalty, sizes), config, seed=0)
    lam = tuner.lam + 0.3 * np.random.default_rng(2).standard_normal(tuner.lam.shape)
    value, gradient = tuner.hypergradient(lam)
    for i in range(min(lam.size, 5)):
        step = np.zeros_like(lam)
        step[i] = 1e-5
        difference = (tuner.hypergradient(lam + step)[0] - tuner.hypergradient(lam - step)[0]) / 2e-5
        assert gradient[i] == pytest.approx(difference, rel=1e-4, abs=1e-9)
    assert np.isfinite(value) and np.abs(gradient).max() > 1e-8


def test_unrolled_lowers_the_validation_loss_and_resumes_exactly():
    config = UnrolledConfig(inner_steps=40, inner_lr=0.01, outer_lr=0.3, inner_scale=0.1)

    def make():
        return Unrolled(problem("weights", (6, 3)), config, seed=0)

    tuner = make()
    first = tuner.tune_step()["valid_loss"]
    for _ in range(4):
        tuner.tune_step()
    middle, again = tuner.state(), make()
    again.load_state(middle)
    assert tuner.tune_step() == again.tune_step()
    assert tuner.lam.tobytes() == again.lam.tobytes()
    assert tuner.evaluate()["valid_loss"] < first
