"""Messages in the caller's language, and the nearest known name."""

import pickle
from dataclasses import dataclass

import pytest

from hyperopt_hn import Alternation, UserError
from hyperopt_hn.config import check, option
from hyperopt_hn.errors import unknown


def test_a_message_names_settings_as_its_reader_writes_them():
    error = UserError.spelled(lambda say: f"use {say('over_write')}, {say('steps', 5)} or {say('out', ...)}")
    assert str(error) == "use over_write=True, steps=5 or out"
    assert error.typed == "use --over-write, --steps 5 or --out"
    again = pickle.loads(pickle.dumps(error))  # as from another process
    assert (str(again), again.typed) == (str(error), error.typed)
    assert UserError("plain").typed == "plain"


@dataclass(frozen=True)
class Settings:
    """Some."""

    rate_of: float = option(0.5, "a rate", above=0, most=1)
    colour: str = option("red", "a word", choices=("red", "green"))

    def __post_init__(self):
        check(self)


@pytest.mark.parametrize(
    ("call", "script", "typed"),
    [
        (lambda: Alternation(steps=0), "steps=0 is too small", "--steps 0 is too small"),
        (lambda: Settings(rate_of=0.0), "rate_of=0 is too small", "--rate-of 0 is too small"),
        (lambda: Settings(rate_of=2.0), "rate_of=2 is too large", "--rate-of 2 is too large"),
        (lambda: Settings(rate_of=float("nan")), "rate_of is NaN", "--rate-of is NaN"),
        (lambda: Settings(colour="gren"), "no colour 'gren'; did you", "no --colour 'gren'; did you mean 'green'?"),
    ],
)
def test_bounds_speak_to_both(call, script, typed):
    with pytest.raises(UserError) as caught:
        call()
    assert str(caught.value).startswith(script) and "--" not in str(caught.value)
    assert caught.value.typed.startswith(typed)


def test_unknown_names():
    many = [f"name{i}" for i in range(20)]
    assert unknown("setting", "nmae3", many) == "no setting 'nmae3'; did you mean 'name3'?"
    assert unknown("setting", "zzz", many[:3]) == "no setting 'zzz'; there are: name0, name1, name2"
    assert unknown("data set", "name", ["name1"]) == "no data set 'name'; did you mean 'name1'? (there are: name1)"
    assert unknown("thing", "x", []) == "no thing 'x'; there are: none"
