"""Folder names: readable, short enough for every file system, one for each setting, and read back by figures."""

from __future__ import annotations

import pytest

from figures.kit.roots import ROOT_NAME
from hyperopt_hn.cli.folder_names import folder_name


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "quick-digits-seed7"),
        ({"steps": 3, "hidden": (3, 4), "maybe": 0.25}, "quick+hidden=3,4+maybe=0.25+steps=3-digits-seed7"),
        ({"lr": 1e16, "deep": True}, "quick+deep=True+lr=1e16-digits-seed7"),
    ],
)
def test_few_settings_are_named(changed, name):
    assert folder_name("quick", changed, "digits", 7) == name


def test_what_is_shortened_stays_readable_and_is_told_apart_by_a_hash():
    one, other = (folder_name("quick", {"replay": f"/home/{who}/runs/table1/stn"}, "ptb", 7) for who in "ab")
    assert one != other and one.startswith("quick+replay=stn+") and len(one) < 40
    long = {"init": "dropouti=0.2,dropouth=0.3,dropouto=0.4", "lr": 0.5, "tune": "dropouts"}
    name = folder_name("quick", long, "ptb", 7)
    assert name.startswith("quick+init=dropouti=0.2,dropouth=0.+lr=0.5+tune=dropouts+")
    assert name != folder_name("quick", {**long, "init": long["init"] + "1"}, "ptb", 7)


@pytest.mark.parametrize(
    "value", ["a/b", "../..", "é" * 200, "a+b", "a b", "x" * 300, "\n", "-seed3", "c-digits-seed9", ""]
)
@pytest.mark.parametrize("many", [1, 60])
def test_any_value_gives_a_name_that_every_file_system_takes(value, many, tmp_path):
    name = folder_name("quick", {f"setting{i}": value for i in range(many)}, "digits", 7)
    (tmp_path / name).mkdir()
    match = ROOT_NAME.fullmatch(name)
    assert len(name.encode()) <= 200 and "/" not in name and match and match["preset"] == "quick"
    assert (match["data"], match["seed"]) == ("digits", "7")
