"""The baselines: search that resumes exactly and finds the better half; hypergradients by unrolling are exact."""

import numpy as np
import pytest

from toy import mlp
from toy.baselines.search import SearchTuner, TrialConfig
from toy.baselines.unrolled import Unrolled, UnrolledConfig
from toy.problems import DecayProblem, RowSplit, decay_space


def problem(penalty="class_norms", sizes=(6, 3), seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((sizes[0], sizes[-1]))
    splits = []
    for rows in (30, 40, 40):
        x = rng.random((rows, sizes[0]))
        splits.append(RowSplit.of(x, np.eye(sizes[-1])[np.argmax(x @ truth + rng.standard_normal((rows, 3)), axis=1)]))
    return DecayProblem(*splits, sizes, penalty, decay_space(penalty, sizes, -1.0))


@pytest.mark.parametrize("penalty", ["norm", "class_norms", "weights"])
def test_search_trains_trials_and_resumes_exactly(penalty):
    config = TrialConfig(trial_steps=30, trial_lr=0.05, trial_rows=10, parallel=2)

    def make():
        return SearchTuner(problem(penalty), "random", config, seed=0)

    whole, cut = make(), make()
    start = whole.evaluate()["valid_loss"]
    for _ in range(3):
        whole.train_step()
    cut.train_step()
    state, again = cut.state(), make()
    again.load_state(state)
    for _ in range(2):
        again.train_step()
    assert again.evaluate() == whole.evaluate() and whole.evaluate()["trials"] == 6
    assert whole.evaluate()["valid_loss"] < start
    assert whole.evaluate()["valid_loss"] == pytest.approx(min(whole.losses), rel=1e-12)
    assert whole.arrays()["trial_losses"].shape == (6,)


def test_trials_side_by_side_are_the_trials_one_by_one():
    tuner = SearchTuner(problem(), "random", TrialConfig(trial_steps=20, trial_lr=0.05, trial_rows=10), seed=0)
    lam = np.random.default_rng(1).standard_normal((3, 3))
    together = tuner._train(lam)
    for row, w in zip(lam, together, strict=True):
        assert tuner._train(row[None])[0] == pytest.approx(w, rel=1e-9, abs=1e-12)


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


def test_counts():
    assert mlp.count((784, 10)) == 7850
