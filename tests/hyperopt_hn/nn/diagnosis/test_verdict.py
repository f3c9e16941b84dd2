"""The words of a response check, from numbers made up to deserve them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from hyperopt_hn.nn.diagnosis.verdict import judge, rms

NAMES = ["a=1", "a=2", "a=3"]


@pytest.mark.parametrize(
    ("foreseen", "true", "drift", "word", "why"),
    [
        ([0.1, 0.0, 0.4], [0.1, 0.0, 0.4], 0.05, "trust", "100 % of its size"),
        ([0.03, 0.0, 0.12], [0.1, 0.0, 0.4], 0.05, "partly", "30 % of its size.*how far cannot"),
        ([0.06, 0.0, 0.24], [0.1, 0.0, 0.4], 0.05, "trust", "2 of 3 settings .* 60 % of its size"),
        ([-0.1, 0.0, 0.4], [0.1, 0.0, 0.4], 0.05, "distrust", r"at a=1 the response foresees .* -0.1 .* gives \+0.1"),
        (
            [-0.01, 0.0, 0.4],
            [0.01, 0.0, 0.4],
            0.05,
            "trust",
            "1 of 3 settings .* in the direction",
        ),  # too small a change to count
        ([0.0, 0.0, 0.0], [0.1, 0.0, 0.4], 0.05, "distrust", "no less than knowing nothing"),
        ([0.9, 0.1, 2.0], [0.1, 0.0, 0.4], 0.05, "distrust", "no less than knowing nothing"),
        ([0.9, 0.1, 2.0], [0.01, 0.0, -0.04], 0.05, "undecided", "try settings further from"),
    ],
)
def test_judge(foreseen, true, drift, word, why):
    import re

    got, sentence = judge(foreseen, true, drift, NAMES)
    assert got == word
    assert re.search(why, sentence), sentence


def test_rms():
    assert rms([3.0, 4.0]) == pytest.approx(12.5**0.5)
