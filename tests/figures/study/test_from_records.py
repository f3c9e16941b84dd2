"""Figures from records of studies: their numbers are those of small records worked out by hand."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from figures.__main__ import main
from figures.study import cost_against_quality, lambda_in_lockstep
from figures.study.from_records import FROM_RECORDS, drawn
from figures.study.study_records import at_each_budget, duels, lockstep, over_the_grid, perplexities
from hyperopt_hn.errors import UserError
from tests.support.paths import ROOT

RECORDED = ROOT / "figures" / "recorded"


def write(path: Path, *lines: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_excess_is_over_the_grids_lowest_of_the_same_task_and_seed(tmp_path: Path) -> None:
    grid = {"task": "a", "seed": 1, "name": "grid", "rows": [{"losses": [0.5, 0]}, {"losses": [0.4, 0]}]}
    run = {"task": "a", "seed": 1, "name": "way", "retrained": [0.45, 0], "trained": [0.6, 0], "seconds": 2.0}
    alone = {**run, "seed": 2}  # its grid is not there
    (found,) = over_the_grid(write(tmp_path / "r.jsonl", grid, run, alone))["way"]
    assert found[:2] == ("a", 1) and found[2:] == pytest.approx((0.05, 0.2, 2.0))


def test_budgets_wins_and_losses(tmp_path: Path) -> None:
    def row(arm: str, seed: int, *marks: list) -> dict:
        return {"task": "a", "seed": seed, "arm": arm, "marks": list(marks)}

    record = write(
        tmp_path / "cost.jsonl",
        row("split", 1, [2.0, 0.4, 0.6]), row("split", 2, [1.0, 0.5, 0.9], [2.0, 0.3, 0.5]),
        row("tpe", 1, [1.0, 0.6, 0.7], [2.0, 0.5, 0.5]), row("tpe", 2, [1.0, 0.4, 0.8], [2.0, 0.35, 0.7]),
    )  # fmt: skip
    budgets, valid = at_each_budget(record, 1)
    assert budgets == [1.0, 2.0] and valid["split"][0] is None
    assert valid["split"][1] == pytest.approx([0.0, 0.0]) and valid["tpe"][0] == pytest.approx([0.2, 0.1])
    _, test = at_each_budget(record, 2)
    assert test["split"][1] == pytest.approx([0.1, 0.0])
    assert duels(record, "split") == ([1.0, 2.0], {"tpe": [(0, 2), (1, 1)]})


def test_perplexities_are_at_the_lowest_by_validation(tmp_path: Path) -> None:
    logs = [{"valid_loss": v, "test_loss": t} for v, t in ((3.0, 1.0), (2.0, 2.5), (2.2, 1.1))]
    write(tmp_path / "ptb-quick-split-seed7.jsonl", {"train_loss": 1.0}, *logs)
    assert perplexities(tmp_path) == {"split": [(math.exp(2.0), math.exp(2.5))]}


def test_lockstep_is_the_mean_correlation_of_increments() -> None:
    one, other = np.cumsum([0.0, 1.0, -2.0, 3.0]), np.cumsum([5.0, 1.0, 2.0, -1.0])
    assert lockstep(np.stack([one, 2 * one + 7], 1).tolist()) == pytest.approx(1.0)
    a, b, _ = (np.diff(x) - np.diff(x).mean() for x in (one, other, one))
    wanted = float(a @ b / math.sqrt((a @ a) * (b @ b)))
    rested = np.repeat(np.stack([one, other], 1), 2, axis=0)  # each value held once: no increment
    assert lockstep(rested.tolist()) == pytest.approx(wanted)


def test_the_figures_show_the_records(tmp_path: Path) -> None:
    figures = drawn([tmp_path, RECORDED], ())
    assert set(figures) == set(FROM_RECORDS)
    above, *below = figures["cost_against_quality"].axes
    for axes, name in zip(below, cost_against_quality.COST, strict=True):
        (line,) = [line for line in axes.lines if line.get_label() == "split"]
        _, arms = at_each_budget(RECORDED / "study" / name, 1)
        assert list(line.get_ydata()) == pytest.approx([np.mean(row) for row in arms["split"] if row])
    assert sum(text.get_text() == "split" for text in above.texts) == 2
    panels = figures["lambda_in_lockstep"].axes
    assert [axes.get_title().split("\n")[0] for axes in panels][:1] == ["STN"]
    log = RECORDED / lambda_in_lockstep.LOGS["STN"]
    last = [json.loads(line) for line in log.read_text().splitlines() if '"hypers"' in line][-1]
    assert panels[0].lines[0].get_ydata()[-1] == last["hypers"]["dropouto"]


def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", str(tmp_path), "--out", str(tmp_path / "out"), "lambda_in_lockstep"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "figures/recorded" in told and not (tmp_path / "out").exists()
    shutil.copytree(RECORDED / "study", tmp_path / "study")
    broken = tmp_path / "study" / next(iter(cost_against_quality.COST))
    broken.write_text("no record\n")
    with pytest.raises(UserError, match=r"line 1 of .*cost-seeds"):
        drawn([tmp_path], ["cost_against_quality"])
