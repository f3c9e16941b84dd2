"""What is tuned, what is held, what is off: names, groups, values and their mistakes."""

from __future__ import annotations

import pytest

from deep.choice import TuningChoice, choose, fixed_at
from hyperopt_hn import Hyper, UserError

HYPERS = [Hyper("a", 0.1, 0, 1), Hyper("b", 0.2, 0, 1), Hyper("c", 2, 0, 5, discrete=True)]
GROUPS = {"letters": ("a", "b"), "absent": ("z",)}


def test_what_is_neither_tuned_nor_fixed_is_off():
    space = choose(HYPERS, GROUPS, TuningChoice(tune="letters"))
    assert space.names == ("a", "b") == space.tuned
    space = choose(HYPERS, GROUPS, TuningChoice(tune="c", fix="a"))
    assert (space.names, space.tuned) == (("a", "c"), ("c",))
    space = choose(HYPERS, GROUPS, TuningChoice(tune="none"))
    assert (space.names, space.n) == ((), 0)
    assert choose(HYPERS, GROUPS, TuningChoice(fix="b")).tuned == ("a", "c")


def test_values_start_the_tuned_and_hold_the_others():
    space = choose(HYPERS, GROUPS, TuningChoice(tune="a", init="letters=0.4,b=0.7", spread=0.25))
    assert (space.names, space.tuned) == (("a", "b"), ("a",))
    assert (space["a"].init, space["b"].init, space["a"].spread) == (0.4, 0.7, 0.25)
    fixed = fixed_at(space, {"b": 0.3})
    assert fixed.tuned == () and fixed["b"].init == 0.3 and fixed["a"].init == 0.4


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (TuningChoice(tune="lettres"), "did you mean 'letters'"),
        (TuningChoice(tune="a", fix="letters"), "both --tune and --fix"),
        (TuningChoice(init="a"), "name=value"),
        (TuningChoice(init="a=x"), "'x' is not a number"),
        (TuningChoice(init="a=2"), "low=0 and high=1"),
        (TuningChoice(init="q=2"), "no hyperparameter or group 'q'"),
    ],
)
def test_mistakes_name_the_remedy(choice, words):
    with pytest.raises(UserError, match=words):
        choose(HYPERS, GROUPS, choice)
