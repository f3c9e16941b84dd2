"""Thousands of networks at random λ (weights-vs-loss), against the slow loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyperopt_hn import UserError
from tests.reference import toy_truth_loops as slow
from tests.reference.toy_loops import Data
from tests.support.toy_cases import SHARED, problem_of, random_parts, run, same, stored
from toy.truth.true_losses import SharedSettings, TrueLosses, TrueLossesConfig

NETS = TrueLossesConfig(nets=9, steps=40, unit=4)


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data, Data]:
    return random_parts()


def test_a_vector_of_draws_is_the_published_stream() -> None:
    one, many = np.random.RandomState(7), np.random.RandomState(7)
    for _ in range(3):
        scalars = one.rand(10) * 6.0 - 3.0, [one.randint(49_900) for _ in range(1000)]
        lam = SharedSettings().uniform(many, 10)
        assert np.array_equal(lam, scalars[0])
        assert np.array_equal(many.randint(49_900, size=1000), scalars[1])


def test_true_losses_equal_the_slow_loop(parts: tuple[Data, Data, Data]) -> None:
    fast = run(TrueLosses(problem_of("class_norms", parts), SHARED, NETS)).arrays()
    loops = slow.Scatter(parts[0], parts[1], window=10, steps=40)
    for lam, loss in zip(fast["lam"], fast["true"], strict=True):
        slow_lam, slow_loss = loops.true_loss()
        assert np.array_equal(lam, slow_lam)
        assert loss == pytest.approx(slow_loss, rel=1e-8)


def test_true_losses_do_not_depend_on_blocks_or_workers(parts: tuple[Data, Data, Data]) -> None:
    problem = problem_of("class_norms", parts)
    wanted = run(TrueLosses(problem, SHARED, NETS)).arrays()
    for unit, workers in ((9, 1), (1, 1), (5, 3)):
        config = replace(NETS, unit=unit, workers=workers)
        assert same(run(TrueLosses(problem, SHARED, config)).arrays(), wanted)


def test_true_losses_resume_and_recompute_a_block(parts: tuple[Data, Data, Data], tmp_path: Path) -> None:
    problem = problem_of("class_norms", parts)
    whole, half = (TrueLosses(problem, SHARED, NETS) for _ in range(2))
    saved = stored(run(half, 1).state(), tmp_path)
    rest = TrueLosses(problem, SHARED, NETS)
    rest.load_state(saved)
    assert same(run(rest, 2).arrays(), run(whole).arrays())
    again = TrueLosses(problem, SHARED, NETS)
    again.load_state(saved)
    assert np.array_equal(again.losses(*again.start.draw(again.rng, 4, 40)), whole.arrays()["true"][4:8])
    assert whole.evaluate()["valid_loss"] == whole.loss.min() and np.shape(whole.hypers()["weight_decay"]) == (3,)
    assert np.isfinite(TrueLosses(problem, SHARED, NETS).evaluate()["valid_loss"]), "before the first network too"
    with pytest.raises(ValueError, match="9 networks"):
        TrueLosses(problem, SHARED, replace(NETS, nets=3)).load_state(saved)


def test_the_last_window_is_drawn_by_default() -> None:
    assert SharedSettings(window=100).starts(50_000) == 49_901
    assert SharedSettings(window=100, streams="published").starts(50_000) == 49_900
    assert SharedSettings(window=100).starts(100) == 1
    for shared, rows in ((SharedSettings(window=100), 99), (SharedSettings(window=100, streams="published"), 100)):
        with pytest.raises(UserError, match="--window 100"):
            shared.starts(rows)
    with pytest.raises(UserError, match="streams"):
        SharedSettings(streams="publshed")
