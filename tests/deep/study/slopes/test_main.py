"""The command: every problem runs, a finished cell is left out, the numbers of the table, mistakes in one line."""

from __future__ import annotations

import csv
import json
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from deep.study.slopes import __main__ as command  # noqa: E402
from deep.study.slopes.slope_problems import PROBLEMS  # noqa: E402
from deep.study.slopes.slope_record import SLOPE_PRESETS, lacking, measured, slope_records, whole_rows  # noqa: E402
from deep.study.slopes.slope_summary import METHODS, known, slope_cells, slope_csv, slope_table  # noqa: E402
from tests.support.paths import ROOT  # noqa: E402

RECORDED = ROOT / "figures" / "recorded" / "study" / "slopes-seeds-701-703.jsonl"


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_is_asked_of_every_method(name):
    preset, width = SLOPE_PRESETS["smoke"], len(PROBLEMS[name].directions(1))
    lines = [measured(case, preset) for case in lacking(preset, [name], [])]
    (row,) = whole_rows(lines)
    assert [len(pairs) for pairs in row["true"]] == [2] * width
    assert set(row["claims"]) == set(METHODS) - ({"split", "stn", "delta"} if name == "rate" else set())
    blind = {m for m, claim in row["claims"].items() if claim is None}
    rates, through = ("dropout", "dropconnect", "words", "cutout", "rate"), {"unrolled-5", "unrolled-1"}
    assert blind == ({"implicit"} if name in rates else set()) | (through if name == "cutout" else set())
    assert all(len(c) == width and all(map(math.isfinite, c)) for c in row["claims"].values() if c is not None)
    assert whole_rows(lines[1:]) == whole_rows(lines[:-1]) == []


def test_the_record_goes_on(tmp_path, capsys):
    out, table = tmp_path / "deep" / "slopes.jsonl", tmp_path / "slopes.csv"
    arguments = ["--preset", "smoke", "--problems", "l2,rate", "--out", str(out), "--csv", str(table)]
    assert command.main(arguments) == 0
    whole = out.read_text()
    out.write_text("".join(whole.splitlines(keepends=True)[:10]) + '{"problem": "ra')
    assert command.main(arguments) == 0
    said = capsys.readouterr().out
    assert said.count("l2 seed 1 place 1 retrained") == 1 and said.count("rate seed 1 place 1 implicit") == 2
    again = [{k: v for k, v in r.items() if k != "seconds"} for r in slope_records(out)]
    assert again == [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in whole.split("\n")[:-1]]
    assert table.read_text() == slope_csv(whole_rows(slope_records(out)))
    assert lacking(SLOPE_PRESETS["smoke"], ["l2", "rate"], again) == []


def record():
    """Two problems, two cells each: slopes of 1 and -.5 that are clear, .01 that is not."""
    base = {"value": 0.1, "steps": 12, "loss": 1.0, "seconds": {"stn": 1.0, "split": 3.0}}
    claims = {"trials": [0.8], "implicit": [2.0], "unrolled-5": [0.1], "unrolled-1": [0.01], "stn": [-1.0]}
    second = {"trials": [0.25], "implicit": [-0.5], "unrolled-5": [0.1], "unrolled-1": [-0.01], "stn": [-0.25]}
    third = {"trials": [0.03], "implicit": [0.06], "unrolled-5": [0.01], "unrolled-1": [0.0], "stn": [-0.19]}
    rows = [
        ([[0.9, 1.0, 1.1]], {**claims, "split": [0.5], "delta": [1.0]}),
        ([[-0.5, -0.51, -0.49]], {**second, "split": [-1.0], "delta": [-0.5]}),
        ([[0.5, -0.5, 0.03]], {**third, "split": [0.11], "delta": [0.01]}),
    ]
    found = [{**base, "problem": "l2", "seed": 1, "place": i, "true": t, "claims": c} for i, (t, c) in enumerate(rows)]
    rate = {"trials": [0.5], "implicit": None, "unrolled-5": [0.25], "unrolled-1": [0.05]}
    return [*found, {**base, "problem": "rate", "seed": 1, "place": 0, "true": [[0.9, 1.0, 1.1]], "claims": rate}]


def test_the_interval_is_students():
    """By hand: of .9, 1, 1.1 the standard deviation is .1, and t of two degrees of freedom at 97.5 % is 4.3027."""
    assert known([0.9, 1.0, 1.1]) == pytest.approx((1.0, 4.3027 * 0.1 / math.sqrt(3)), rel=1e-4)


def test_the_numbers_are_those_of_the_record():
    cells = {(cell.problem, cell.method): cell for cell in slope_cells(record())}
    split, stn = cells["L2 strength", "split"], cells["L2 strength", "STN"]
    assert (split.clear, split.right, split.flat, split.words) == (2, 2, 1, "")
    assert split.ratio == pytest.approx(1.25) and split.error == pytest.approx(0.1)  # .5 and 2; .11 against .01
    assert (split.low, split.high) == pytest.approx((0.875, 1.625))
    assert (stn.right, stn.ratio, stn.error) == (1, pytest.approx(-0.25), pytest.approx(0.2))  # -1 and .5
    assert cells["L2 strength", "unrolled 1"].right == 2 and cells["L2 strength", "two trials"].right == 1
    rate = {method: cells["learning rate", method] for method in METHODS.values()}
    assert {rate[m].words for m in ("split", "STN", "Δ-STN")} == {"out of reach"}
    assert rate["implicit"].words == "no path" and rate["implicit"].ratio is None
    assert rate["unrolled 5"].ratio == rate["unrolled 5"].low == rate["unrolled 5"].high == pytest.approx(0.25)


def test_the_table_and_the_csv_say_them():
    lines = slope_table(record()).split("\n")
    row = next(line for line in lines if line.startswith("L2 strength"))
    assert row.split()[2:7] == ["2", "1", "2/2", "1.25", "(0.10)"]
    assert "out of reach" in next(line for line in lines if line.startswith("learning rate"))
    total = next(line for line in lines if line.startswith("all")).split()
    assert total == ["all", "2/2", "1/2", "2/2", "2/2", "2/3", "3/3", "2/3"]
    assert next(line for line in lines if "processor" in line).endswith("split 3.0, stn 1.0")
    head, *rest = slope_csv(record()).splitlines()
    assert head.startswith("# seeds 1; 3 places a problem, 12 training steps, true slopes of 3 retrained pairs")
    rows = list(csv.DictReader(rest))
    assert len(rows) == 2 * len(METHODS) and rows[0]["ratio"] == "1.25" and rows[-4]["words"] == "no path"


def test_places_are_told_as_means_over_seeds():
    """By hand: true slopes of 1 and 2, whose standard error is .5; claims of .5 and 1."""
    first, *_ = record()
    second = {**first, "seed": 2, "true": [[1.9, 2.0, 2.1]], "claims": {**first["claims"], "split": [1.0], "stn": None}}
    line = slope_table([first, second]).split("\n")[-1]
    assert line.split() == ["L2", "strength", "0.1", "+1.500", "±", "0.500", "+0.750", "-", *line.split()[8:]]
    assert line.split()[8:] == ["+1.000", "+2.000", "+0.100", "+0.010", "+0.800"]


def test_the_page_shows_what_the_record_says():
    page, rows = (ROOT / "docs" / "which-method.md").read_text(), whole_rows(slope_records(RECORDED))
    assert f"```\n{slope_table(rows)}\n```" in page
    assert RECORDED.with_suffix(".csv").read_text() == slope_csv(rows)
    assert RECORDED.stem in page and RECORDED.stem in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--problems", "l1"], "l2"),
        (["--seeds", "1,x"], "'x'"),
        (["--show", "none.jsonl"], "none.jsonl"),
    ],
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    assert command.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and words in said
