"""Trust: each reason appears where its cause was put, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from hyperopt_hn.nn.diagnosis.trust import judged

PLACES = {"a": slice(0, 1), "b": slice(1, 2), "v": slice(2, 5)}
NAMES = tuple(PLACES)


def course(seed=0, steps=200):
    random = np.random.default_rng(seed)
    return 0.01 * random.normal(size=(steps, 5)).cumsum(0)


def test_nothing_speaks_against_a_settled_run():
    found = judged(NAMES, PLACES, {"a": 3.0, "b": 2.0, "v": 5.0}, [], course())
    assert found.verdict == "trust" and found.believed == NAMES
    assert str(found).splitlines()[0] == "trust: nothing speaks against 3 of 3 tuned values"


def test_each_reason_is_named_where_it_belongs():
    moved = course()
    moved[:, 3] += np.linspace(0, 5, 200)
    drift = moved[199, 3] - moved[160, 3]
    found = judged(NAMES, PLACES, {"a": -0.4, "v": 5.0}, ["b"], moved)
    assert found.verdict == "partly" and not found.alarm  # one response predicts
    assert "predicts worse than none" in found.reasons["a"][0] and len(found.reasons["a"]) == 1
    assert "edge of its box" in found.reasons["b"][0] and len(found.reasons["b"]) == 1
    assert f"still moves ({drift:.1f} raw units" in found.reasons["v"][0] and len(found.reasons["v"]) == 1
    assert "b: it rests" in str(found) and "gain not measured" in str(found)


def test_the_alarm_needs_no_response_that_predicts_and_a_lambda_that_wanders():
    still, moved = course(), course()
    moved[:, 3] += np.linspace(0, 10, 200)  # 2 raw units over the last fifth
    worse = {"a": -0.4, "b": -2.0, "v": -0.1}
    for gain, path, wanted in (
        (worse, moved, "distrust"),
        (worse, still, "partly"),
        ({**worse, "b": 0.1}, moved, "partly"),
        ({}, moved, "partly"),
    ):
        found = judged(NAMES, PLACES, gain, [], path)
        assert found.verdict == wanted and found.alarm == (wanted == "distrust")
    assert "do not use them" in str(judged(NAMES, PLACES, worse, [], moved)).splitlines()[0]


def test_lockstep_is_the_correlation_of_increments():
    moved = course()
    moved[:, 1] = moved[:, 0] + 0.1 * moved[:, 1]
    blocks = moved[::4]
    wanted = np.corrcoef(np.diff(blocks[:, 0]), np.diff(blocks[:, 1]))[0, 1]
    found = judged(NAMES, PLACES, {}, [], moved)
    assert found.reasons["a"] == (f"it moves as one with b (correlation of increments {wanted:.2f})",)
    assert found.verdict == "partly" and found.believed == ("v",)
