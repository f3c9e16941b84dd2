"""The paper: its numbers are the runs', its text types none of them, and equal runs give equal bytes."""

from __future__ import annotations

import json
import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest

from figures.kit.roots import expand
from figures.paper.__main__ import main
from figures.paper.evidence import penalties, ways
from figures.paper.evidence import told as evidence
from figures.paper.numbers import gathered
from tests.support.paths import ROOT

RECORDED = ROOT / "figures" / "recorded"
TEXT = (ROOT / "figures" / "paper" / "paper.typ").read_text()


@pytest.fixture(scope="module")
def told() -> dict:
    return gathered(expand([RECORDED]))


def best(run: Path, column: str = "valid_loss") -> dict:
    """The record of a run with its lowest validation loss, read from the file itself."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return min((r for r in records if column in r), key=lambda r: r[column])


def test_a_tables_numbers_are_means_and_deviations_over_the_seeds(told: dict) -> None:
    runs = [RECORDED / f"quick-ptb-seed{seed}" / "compare-lstm" / "delta" for seed in (7, 8, 9)]
    for place, column in ((2, "valid_loss"), (3, "test_loss")):
        values = [math.exp(best(run)[column]) for run in runs]
        wanted = f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"
        (row,) = (row for row in told["lstm"] if row[0] == "Δ-STN")
        assert (row[1], row[place]) == ("3", wanted)
    means = {row[0]: float(row[2].split()[0]) for row in told["lstm"]}
    assert told["lowest"]["lstm"] == min(means, key=means.__getitem__)


def test_the_optimum_and_the_errors_are_those_of_the_arrays(told: dict) -> None:
    truth = np.load(RECORDED / "paper-mnist-seed7" / "crossval" / "truth" / "arrays.npz")
    assert told["optimum"]["lambda"] == f"{float(truth['optimum_lambda']):.3f}"
    inferred = np.load(RECORDED / "paper-mnist-seed7" / "weights-vs-loss" / "surrogates" / "arrays.npz")
    squares = [(a - b) ** 2 for a, b in zip(inferred["gp"].ravel(), inferred["true"].ravel(), strict=True)]
    (row,) = (row for row in told["surrogates"]["rows"] if row[0] == "GP as published")
    assert row[1] == f"{math.sqrt(math.fsum(squares) / len(squares)):.3f}"


def test_the_study_is_the_excess_over_the_best_grid_point(tmp_path: Path) -> None:
    grid = {"task": "a", "seed": 1, "name": "grid", "rows": [{"losses": [0.5, 0]}, {"losses": [0.4, 0]}]}
    runs = [{"task": "a", "seed": 1, "name": "way", "retrained": [x, 0], "trained": [0.6, 0], "seconds": s}
            for x, s in ((0.4, 1.0), (0.6, 3.0))]  # fmt: skip
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (grid, *runs)))
    rows = [["way", "2", "+0.100 ± 0.141", "+0.200", "1", "+0.200 ± 0.000", "2.0"]]
    assert ways(tmp_path / "r.jsonl") == rows


def test_the_evidence_is_that_of_every_record() -> None:
    found = evidence(RECORDED / "study")
    assert list(found["five"]) == ["401-405", "501-505"]
    assert {row[0] for row in found["five"]["501-505"]} == {
        "split", "split, every 4th", "split, half batch", "Δ-STN",
    }  # fmt: skip
    assert {row[1] for row in found["ptb"] if "centred" not in row[0]} == {"3"} and len(found["ptb"]) >= 2
    few, many = found["cost"]
    assert few["budgets"] == many["budgets"] == ["1", "2", "4", "8"]
    assert len(few["duels"]) == 12 and len(many["duels"]) == 9 and "mnist-augment" in many["tasks"]
    assert found["penalty"]["count"] == "9"
    text = (RECORDED / "study" / "one-penalty-seeds-21-23.txt").read_text()
    told = penalties(text)
    assert f"excess {told['mean'].split()[0]} ± " in text and f"worst {told['worst']}, of 9 runs" in text


def test_runs_that_are_missing_are_left_out(told: dict) -> None:
    some = gathered(expand([RECORDED / "quick-ptb-seed7"]))
    assert some["medium"] is None and some["optimum"] is None and some["table1"] is not None
    assert "±" not in some["table1"][0][2], "one seed has no deviation"


def test_no_result_is_typed_into_the_text() -> None:
    prose = re.sub(
        r"width: [\d.]+%|[\d.]+(pt|cm)\b|\w+20\d\d|a4|\.[\d]+|\b\d\.\d\b|Algorithms? \d|table \d|\bAlgorithm \d",
        "",
        TEXT,
    )
    assert re.findall(r"\d+\.\d+|\d{2,}", prose.replace("7,850", "")) == []


def test_equal_runs_give_equal_bytes_and_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
    pytest.importorskip("typst", reason="typst is not installed (make paper installs it)")
    for name in ("a", "b"):
        assert main(["--runs", str(RECORDED / "quick-ptb-seed7"), "--out", str(tmp_path / name)]) == 0
    for file in ("paper.pdf", "paper.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert "Output dropout" in (tmp_path / "a" / "paper.html").read_text()
