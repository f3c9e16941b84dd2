"""Runs in words: a folder as a list, damaged ones in one line."""

import json

import pytest

from hyperopt_hn import UserError
from hyperopt_hn.runs.__main__ import main
from hyperopt_hn.runs.display.summaries import expand


def test_a_folder_of_runs_is_shown_as_a_list(folder, capsys):
    (folder / "walk_x" / "bad").mkdir()
    (folder / "walk_x" / "bad" / "config.json").write_text("[]")
    assert main(["show", str(folder)]) == 0
    bad, one, two = capsys.readouterr().out.splitlines()
    assert bad.split()[:2] == ["walk_x/bad", "damaged"]
    assert one.split() == ["walk_x/one", "patience", "step", "2", "best", "valid_loss", "1"]
    assert two.split() == ["walk_x/two", "unfinished", "step", "0", "best", "valid_loss", "0.5"]


@pytest.mark.parametrize("text", ["null", "[]", '{"format": 1, "data": [], "versions": 3, "config": "x"}'])
@pytest.mark.parametrize("line", ['{"valid_loss": 1e999, "step": 1e999}', '{"valid_loss": "x", "hypers": [1]}'])
def test_damaged_folders_are_one_line_or_read(folder, text, line, capsys):
    path = folder / "walk_x" / "one"
    (path / "config.json").write_text(text)
    (path / "log.jsonl").write_text(line + "\n")
    (path / "result.json").write_text("[]" if text == "null" else '{"best": [], "reason": 3}')
    for action in ("show", "csv", "table"):
        assert main([action, str(path)]) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err


def test_folders_stand_for_their_runs(folder, tmp_path):
    one, two = folder / "walk_x" / "one", folder / "walk_x" / "two"
    assert [run.path for run in expand([two, folder])] == [two, one]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"config\.json is missing"):
        expand([tmp_path / "empty"])


def test_escapes_in_a_runs_files_are_shown_not_sent_to_the_terminal(folder, capsys):
    """The control sequences of a terminal, 7-bit and 8-bit, in a setting's name and in a value; lines stay lines."""
    (path,) = sorted(folder.rglob("config.json"))[:1]
    config = json.loads(path.read_text())
    config["config"] = {"rate\x7f": 1, "name": "a\x1b[2Jb\x9b31m"}
    path.write_text(json.dumps(config))
    assert main(["show", str(path.parent)]) == 0
    shown = capsys.readouterr().out
    assert "a\\x1b[2Jb\\x9b31m" in shown and "rate\\x7f" in shown and shown.count("\n") > 3
    assert all(character.isprintable() or character == "\n" for character in shown)
