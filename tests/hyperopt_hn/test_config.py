"""Options of a configuration: bounds, what is huge or not finite, sections, overriding."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hyperopt_hn.config import LARGEST, brief, check, flat_fields, option, override, sections, unknown
from hyperopt_hn.errors import UserError


@dataclass(frozen=True)
class Inner:
    """How it steps.

    More words.
    """

    steps: int = option(4, "steps", least=1)
    free: int = option(0, "any")
    rate: float = option(0.5, "rate", above=0, most=1)
    sizes: tuple[int, ...] = option((), "sizes", least=1)
    word: str = option("", "word", choices=("", "red"))

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Outer:
    """The whole."""

    inner: Inner = Inner()
    seed: int = option(7, "seed", technical=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "--steps 0 is too small: it must be at least 1"),
        ({"steps": LARGEST + 1}, f"it must be at most {LARGEST}"),
        ({"free": -LARGEST - 1}, f"it must be at least {-LARGEST}"),
        ({"steps": 10**4000}, "is too large"),
        ({"rate": 0.0}, "--rate 0 is too small: it must be above 0"),
        ({"rate": 1.5}, "--rate 1.5 is too large: it must be at most 1"),
        ({"rate": float("nan")}, "--rate is NaN"),
        ({"rate": float("inf")}, "--rate inf is not finite"),
        ({"rate": float("-inf")}, "--rate -inf is not finite"),
        ({"sizes": (3, 0)}, "--sizes 0 is too small"),
        ({"word": "blue"}, "there are: none, red"),
        ({"word": "rde"}, "did you mean 'red'"),
        ({"stepz": 1}, "did you mean 'steps'"),
    ],
)
def test_what_is_out_of_bounds_is_named(values, message):
    with pytest.raises(UserError) as caught:
        override(Outer(), values)
    assert message in caught.value.typed and len(str(caught.value)) < 200 and "\n" not in str(caught.value)


def test_bounds_are_inclusive():
    assert (
        flat_fields(override(Outer(), {"steps": 1, "rate": 1.0, "free": -LARGEST, "sizes": (1,)}))["free"] == -LARGEST
    )


def test_sections_are_the_configurations_by_the_first_line_of_their_docstring():
    found = sections(Outer())
    assert {title: list(options) for title, options in found.items()} == {
        "How it steps": ["steps", "free", "rate", "sizes", "word"],
        "The whole": ["seed"],
    }
    assert found["The whole"]["seed"][0].metadata["technical"] and found["The whole"]["seed"][1] is int


def test_messages_are_brief():
    assert brief("x" * 60) == "x" * 60 and len(brief("x" * 10_000)) <= 60
    assert len(unknown("setting", "x" * 10_000, ["a", "b"])) < 120
