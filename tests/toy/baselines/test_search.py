"""Search that resumes exactly and finds the better half."""

import numpy as np
import pytest

from toy.baselines.search import SearchTuner, TrialConfig
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
