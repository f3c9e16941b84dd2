""" "auto": the first data set that is there, else the stand-in, which says why; other faults pass through."""

import logging
from dataclasses import dataclass

import pytest

from hyperopt_hn import UserError
from hyperopt_hn.data.fallback import first_there
from hyperopt_hn.data.locate import MissingData


@dataclass(frozen=True)
class Source:
    note: str


def lacking(name):
    def load():
        raise MissingData(f"{name} is not on disk")

    return load


def test_the_first_that_is_there(caplog):
    found = first_there([lacking("a"), lambda: Source("b"), lambda: Source("c")], ("d", lambda: Source("d")), "why")
    assert found == Source("b") and not caplog.records


def test_the_stand_in_says_why(caplog):
    with caplog.at_level(logging.WARNING):
        found = first_there([lacking("a"), lacking("b")], ("digits", lambda: Source("small")), "a was not on disk")
    assert found == Source("small: a was not on disk")
    assert [record.getMessage() for record in caplog.records] == ["going on with digits: a is not on disk"]


def test_a_damaged_one_is_not_replaced():
    def damaged():
        raise UserError("is damaged")

    with pytest.raises(UserError, match="is damaged"):
        first_there([damaged], ("digits", lambda: Source("small")), "why")
