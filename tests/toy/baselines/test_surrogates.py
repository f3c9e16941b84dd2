"""Predictors of the validation loss from lam, against slow loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from hyperopt_hn import UserError
from tests.reference import toy_truth_loops as slow
from tests.reference.toy_loops import Data
from tests.support.toy_cases import SHARED, problem_of, random_parts, run, same, stored
from toy.baselines.surrogates import PREDICTORS, Surrogates, SurrogatesConfig, metrics
from toy.truth.true_losses import SharedSettings


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data, Data]:
    return random_parts()


def known_truth(count: int, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    lam = np.random.RandomState(5).rand(count, n) * 6.0 - 3.0
    return lam, 1.0 + 0.1 * np.sin(lam).sum(axis=1)


SMALL = SurrogatesConfig(known=6, table=(6, 8, 100), stochastic_steps=23, fixed_steps=14)


def test_hypernets_equal_the_slow_loops(parts: tuple[Data, Data, Data]) -> None:
    lam, true = known_truth(20)
    fast = run(Surrogates(problem_of("class_norms", parts), SHARED, SMALL, lam, true)).arrays()
    loops = slow.Scatter(parts[0], parts[1], window=10)
    assert fast["stochastic"] == pytest.approx(loops.predict(loops.stochastic(6, 23), lam[6:]), rel=1e-10)
    assert fast["fixed"] == pytest.approx(loops.predict(loops.fixed(lam[:6], 14), lam[6:]), rel=1e-10)
    assert np.array_equal(fast["table_evaluations"], [6, 8]), "100 known losses of 20 leave nothing to predict"
    assert all(fast[f"table_{name}"].shape == (2,) for name in (*PREDICTORS, "best"))
    assert same({"true": fast["true"], "train_true": fast["train_true"]}, {"true": true[6:], "train_true": true[:6]})


def test_surrogates_resume_bit_for_bit(parts: tuple[Data, Data, Data], tmp_path: Path) -> None:
    problem, (lam, true) = problem_of("class_norms", parts), known_truth(20)
    whole = run(Surrogates(problem, SharedSettings(window=10), SMALL, lam, true))
    for stop in (23, 30, 40):
        half = run(Surrogates(problem, SharedSettings(window=10), SMALL, lam, true), stop)
        assert np.isfinite(half.evaluate()["valid_loss"]) and np.shape(half.hypers()["weight_decay"]) == (3,)
        assert half.arrays().keys() >= {"true", "train_true"} and ("gp" in half.arrays()) == (stop > 37)
        rest = Surrogates(problem, SharedSettings(window=10), SMALL, lam, true)
        rest.load_state(stored(half.state(), tmp_path))
        assert same(run(rest, whole.units - stop).arrays(), whole.arrays())


def test_published_progress_lines_draw_numbers_and_ours_do_not(parts: tuple[Data, Data, Data]) -> None:
    lam, true = known_truth(20)
    position = {}
    for streams in ("published", "default"):
        tuner = Surrogates(
            problem_of("class_norms", parts), SharedSettings(streams=streams, window=10), SMALL, lam, true
        )
        run(tuner, 1)
        fresh = np.random.RandomState(7)
        fresh.rand(18), fresh.randint(40 if streams == "published" else 41, size=6)
        position[streams] = tuner.rng.get_state()[2] - fresh.get_state()[2]  # type: ignore[index]
    assert position["default"] == 0 and position["published"] > 0


def test_metrics() -> None:
    found = metrics(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 2.0]))
    assert found["bias"] == pytest.approx(4 / 3) and found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(np.corrcoef([1.0, 2.0, 4.0], [0.0, 1.0, 2.0])[0, 1])
    tied = metrics(np.array([1.0, 1.0, 3.0, 2.0]), np.array([4.0, 5.0, 9.0, 9.0]))
    assert tied["spearman"] == pytest.approx(spearmanr([1, 1, 3, 2], [4, 5, 9, 9]).statistic)
    assert np.isnan(metrics(np.ones(3), np.arange(3.0))["pearson"]), "a constant prediction correlates with nothing"
    assert found["rmse"] ** 2 == pytest.approx(found["bias"] ** 2 + found["sd"] ** 2)


def test_surrogates_want_something_to_predict(parts: tuple[Data, Data, Data]) -> None:
    with pytest.raises(UserError, match="--known 6"):
        Surrogates(problem_of("class_norms", parts), SHARED, SMALL, *known_truth(7))
