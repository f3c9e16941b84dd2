"""Tables: names with slashes, commas and the columns' own names come back; several runs in Markdown, LaTeX and CSV."""

import csv
import io

import pytest

from hyperopt_hn import Hyper, HyperSpace, Run, RunLog
from hyperopt_hn.course import Replay
from hyperopt_hn.runs.__main__ import main
from hyperopt_hn.runs.display import tables

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
