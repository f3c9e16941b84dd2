"""Numbers of a record by the path of their names; the command of a run; runs of earlier versions."""

import json
import math

import pytest

from hyperopt_hn import Run, RunLog, UserError
from hyperopt_hn.runs.reader import columns_of, number_at, recorded_command

RECORD = {"a": 1, "a/b": 2, "h": {"x": 3, "x/y": 4, "v": {"min": 5}, "v/min": {"z": 6}}, "none": None}


@pytest.mark.parametrize(
    ("key", "value"),
    [("a", 1), ("a/b", 2), ("h/x", 3), ("h/x/y", 4), ("h/v/min", 5), ("h/v/min/z", 6), ("a/c", None), ("none", None),
     ("h", None), ("", None), ("/", None), ("h/", None)],
)  # fmt: skip
def test_a_number_is_found_whatever_slashes_names_hold(key, value):
    found = number_at(RECORD, key)
    assert math.isnan(found) if value is None else found == value


def test_every_column_is_found_under_its_name():
    assert columns_of([RECORD]) == ["a", "a/b", "h/x", "h/x/y"]
    assert [number_at(RECORD, key) for key in columns_of([RECORD])] == [1, 2, 3, 4]


def test_a_run_says_how_it_is_made_again(tmp_path):
    RunLog(tmp_path / "new", {"command": ["python", "-m", "deep", "compare", "cnn", "--out", "a b"]}).close()
    RunLog(tmp_path / "old", {}).close()
    assert Run(tmp_path / "new").remake() == "make it again: python -m deep compare cnn --out 'a b' --overwrite"
    assert (Run(tmp_path / "old").command, Run(tmp_path / "old").remake()) == ([], "make it again")
    (tmp_path / "new" / "log.jsonl").write_text("{\n")
    with pytest.raises(UserError, match="line 1 is damaged; make it again: python -m deep compare cnn"):
        Run(tmp_path / "new")
    assert recorded_command(tmp_path / "new")[3:5] == ["compare", "cnn"]


@pytest.mark.parametrize("command", ["python", [1, 2], None, {"a": 1}])
def test_a_command_that_is_none_is_left_out(tmp_path, command):
    RunLog(tmp_path / "r", {}).close()
    (tmp_path / "r" / "config.json").write_text(json.dumps({"format": 1, "command": command}))
    assert Run(tmp_path / "r").command == recorded_command(tmp_path / "r") == []
