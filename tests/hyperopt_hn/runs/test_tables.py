"""Tables: names with slashes, commas and the columns' own names come back; several runs in Markdown, LaTeX and CSV."""

import csv
import io

import pytest

from hyperopt_hn import Hyper, HyperSpace, Run, RunLog
from hyperopt_hn.course import Replay
from hyperopt_hn.runs import tables
from hyperopt_hn.runs.__main__ import main

NAMES = ["layer1/dropout", "a/b/c", "l2 (w, b)", 'say "p"', "p rate", "λ₁", "step", "seconds", "valid_loss", "hypers/p"]


@pytest.mark.parametrize("name", NAMES)
def test_a_hyperparameter_comes_back_whatever_its_name(tmp_path, name):
    log = RunLog(tmp_path / "r", {})
    for step in (0, 10):
        log.record(
            {"step": step, "valid_loss": 0.5, "train_steps": step, "hypers": {name: 0.25 + step / 100, "z": 0.5}}
        )
    log.finish({}, {})
    run, space = Run(tmp_path / "r"), HyperSpace([Hyper(name, 0.3, 0.0, 0.9), Hyper("z", 0.3, 0.0, 0.9)])
    assert run.column(f"hypers/{name}").tolist() == [0.25, 0.35]
    table = tables.record(run)
    (row,) = list(csv.DictReader(io.StringIO(table)))[1:]
    reserved = name in ("step", "seconds", "valid_loss")
    assert row[f"hypers/{name}" if reserved else name] == "0.35"
    assert (row["step"], row["valid_loss"]) == ("10", "0.5")
    (tmp_path / "s.csv").write_text(table)
    for course in (Replay.read(tmp_path / "r", space), Replay.of_csv(tmp_path / "s.csv", space)):
        assert course.at(9) == {name: 0.25, "z": 0.5} and course.at(10) == {name: 0.35, "z": 0.5}


@pytest.fixture
def folder(tmp_path):
    for arm, losses in (("one", [3.0, 1.0, 2.0]), ("two", [0.5])):
        what = {"experiment": "walk_x", "arm": arm, "preset": "quick", "seed": 7, "data": {"name": "digits"}}
        log = RunLog(tmp_path / "runs" / "walk_x" / arm, what)
        for step, loss in enumerate(losses):
            log.record({"step": step, "valid_loss": loss, "test_loss": loss + 0.1, "hypers": {"rate": 0.1 * step}})
        if arm == "one":
            log.finish({"reason": "patience"}, {})
        log.close()
    return tmp_path / "runs"


def test_a_table_has_each_run_at_its_best(folder, capsys):
    assert main(["table", str(folder), "--csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run,preset,data,seed,step,valid_loss,test_loss,rate",
        "walk_x/one,quick,digits,7,1,1,1.1,0.1",
        "walk_x/two,quick,digits,7,0,0.5,0.6,0",
    ]
    assert main(["table", str(folder / "walk_x/two"), str(folder / "walk_x/one")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| run | preset | data | seed | step | valid_loss | test_loss | rate |"
    assert lines[2].startswith("| walk_x/two | quick |") and len(lines) == 4
    assert main(["table", str(folder), "--latex"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"\begin{tabular}{llllllll}" and lines[-1] == r"\end{tabular}"
    assert r"walk\_x/one & quick & digits & 7 & 1 & 1 & 1.1 & 0.1 \\" in lines


def test_a_folder_of_runs_is_shown_as_a_list(folder, capsys):
    (folder / "walk_x" / "bad").mkdir()
    (folder / "walk_x" / "bad" / "config.json").write_text("[]")
    assert main(["show", str(folder)]) == 0
    bad, one, two = capsys.readouterr().out.splitlines()
    assert bad.split()[:2] == ["walk_x/bad", "damaged"]
    assert one.split() == ["walk_x/one", "patience", "step", "2", "best", "valid_loss", "1"]
    assert two.split() == ["walk_x/two", "unfinished", "step", "0", "best", "valid_loss", "0.5"]


def test_several_runs_are_one_picture(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(folder / "walk_x/one"), str(folder / "walk_x/two")]) == 0
    assert (tmp_path / "runs.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["plot", str(folder), "--out", str(tmp_path / "p.svg")]) == 0
    assert capsys.readouterr().out.splitlines() == ["wrote runs.png", f"wrote {tmp_path / 'p.svg'}"]
    assert b"walk_x/one" in (tmp_path / "p.svg").read_bytes() or b"<svg" in (tmp_path / "p.svg").read_bytes()


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
