"""Values of settings from text and from JSON or TOML: every type, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperopt_hn.cli.values import coerce, parse


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", int, 3),
        (" 3 ", int, 3),
        ("1e-3", float, 1e-3),
        ("yes", bool, True),
        ("FALSE", bool, False),
        ("", str, ""),
        ("1,2,3", tuple[int, ...], (1, 2, 3)),
        ("", tuple[int, ...], ()),
        ("none", float | None, None),
        ("0.5", float | None, 0.5),
    ],
)
def test_text(text, kind, value):
    assert parse(text, kind) == value and coerce(text, kind) == value


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (True, bool, True),
        (None, float | None, None),
        ([1, 2], tuple[int, ...], (1, 2)),
        ("1,2", tuple[int, ...], (1, 2)),
    ],
)
def test_json(value, kind, found):
    assert coerce(value, kind) == found and type(coerce(value, kind)) is type(found)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1.5, int),
        (True, int),
        (True, float),
        (1, bool),
        ([1, "a"], tuple[int, ...]),
        ({"a": 1}, tuple[int, ...]),
        ({"a": 1}, str),
        (None, int),
        (10**400, float),
        ("maybe", bool),
        ("1e5", int),
    ],
)
def test_what_is_of_another_type(value, kind):
    with pytest.raises(ValueError, match="is n"):
        coerce(value, kind)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x)))
def test_anything_is_read_or_refused_in_a_short_sentence(value):
    for kind in (int, float, bool, str, tuple[int, ...], float | None):
        try:
            coerce(value, kind)
        except ValueError as error:
            assert len(str(error)) < 120
