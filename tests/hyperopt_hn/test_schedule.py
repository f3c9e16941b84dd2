"""Schedules: what comes after how many steps, and when there is an evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperopt_hn import Alternation
from tests.support.recording import run


@pytest.mark.parametrize(
    ("plan", "kinds"),
    [
        (Alternation(steps=3, tune_per_cycle=0), "TTT"),
        (Alternation(steps=4), "TVTVTVTV"),
        (Alternation(steps=4, train_per_cycle=2), "TTVTTV"),
        (Alternation(steps=5, train_per_cycle=2, warmup=2), "TTTTVT"),
        (Alternation(steps=3, warmup=3, tune_after=2), "TTTVV"),
        (Alternation(steps=2, warmup=5, tune_after=1), "TTV"),
        (Alternation(steps=2, tune_per_cycle=3, tune_after=1), "TVVVTVVVV"),
        (Alternation(steps=1, tune_after=2, tune_per_cycle=0), "TVV"),
    ],
)
def test_schedules(plan, kinds, tmp_path):
    tuner, outcome = run(tmp_path / "r", plan)
    assert "".join({"train": "T", "tune": "V"}[call] for call in tuner.calls) == kinds
    assert outcome.steps == plan.total == len(kinds) and outcome.reason == "finished"


@given(st.integers(1, 40), st.integers(0, 10), st.integers(1, 4), st.integers(0, 3), st.integers(0, 5))
def test_a_schedule_counts_what_it_promises(steps, warmup, train, tune, after):
    plan = Alternation(steps=steps, warmup=warmup, train_per_cycle=train, tune_per_cycle=tune, tune_after=after)
    kinds = [plan.kind(i) for i in range(plan.total)]
    assert kinds.count("train") == steps
    assert "tune" not in kinds[: min(warmup, steps)]
    assert kinds.count("tune") == max(steps - warmup, 0) // train * tune + after


@given(
    steps=st.integers(1, 60),
    warmup=st.integers(0, 30),
    train=st.integers(1, 4),
    tune=st.integers(0, 3),
    after=st.integers(0, 5),
    every=st.integers(1, 20),
)
def test_evaluations_fall_on_training_steps(steps, warmup, train, tune, after, every):
    """Counted step by step: once behind each multiple, with the tuning steps that follow it, and at the end."""
    plan = Alternation(
        steps, min(warmup, steps), train, tune, tune_after=after, evaluate_train=float(every), evaluate_every=10_000
    )
    kinds = [plan.kind(done) for done in range(plan.total)]
    assert [plan.trained(done) for done in range(plan.total + 1)] == [
        kinds[:done].count("train") for done in range(plan.total + 1)
    ]
    places = [i for i, kind in enumerate(kinds) if kind == "train"][every::every]
    wanted = {*places, plan.total}
    assert {done for done in range(1, plan.total + 1) if plan.evaluates(done)} == wanted
