"""Losses over time: the best so far of every arm that is there, over the budget's own axis."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest

from figures.kit import seeds
from tests.conftest import SEEDS
from tests.reference.synthetic_deep import ENDS, write_deep
from tests.support.drawn import LABELS, draw, lines, log, told, words


def best_by_hand(folder: Path, axis: str) -> tuple[list[float], list[float]]:
    """Where, and the lowest validation loss so far, from the log's lines."""
    clock = [json.loads(line) for line in (folder / "clock.jsonl").read_text().splitlines()]
    at, found, low = [], [], math.inf
    for entry, tick in zip(log(folder), clock, strict=True):
        low = min(low, entry["valid_loss"])
        at.append(tick["seconds"] if axis == "seconds" else entry["step"])
        found.append(low)
    return at, found


def test_the_loss_over_time_is_the_best_so_far(images: list[Path]) -> None:
    fig = draw("cnn_loss_over_time", images[0])
    assert fig.axes[0].get_xlabel() == "Runtime (s)"
    for arm, label in LABELS.items():
        at, found = best_by_hand(images[0] / "compare-cnn" / arm, "seconds")
        assert lines(fig)[label].get_xdata().tolist() == at
        assert lines(fig)[label].get_ydata().tolist() == found


def test_a_budget_in_steps_is_drawn_over_steps_and_perplexity_is_the_exponential(tmp_path: Path) -> None:
    root = write_deep(tmp_path, data="ptb", max_seconds=0.0)
    fig = draw("lstm_loss_over_time", root)
    assert fig.axes[0].get_xlabel() == "Optimizer steps" and "perplexity" in fig.axes[0].get_ylabel()
    assert "Hand-set constants" not in lines(fig)
    for arm in ("stn", "gp"):
        at, found = best_by_hand(root / "compare-lstm" / arm, "step")
        assert lines(fig)[LABELS[arm]].get_xdata().tolist() == at
        assert lines(fig)[LABELS[arm]].get_ydata() == pytest.approx([math.exp(loss) for loss in found])


def test_seeds_are_averaged_at_their_common_steps(tmp_path: Path) -> None:
    roots = [write_deep(tmp_path, seed=seed, max_seconds=0.0) for seed in SEEDS]
    drawn = lines(draw("cnn_loss_over_time", *roots))["Random search"].get_ydata()
    ends = [best_by_hand(root / "compare-cnn/random", "step")[1][-1] for root in roots]
    assert drawn[-1] == pytest.approx(statistics.mean(ends))


def test_pooling_by_hand() -> None:
    fast = (np.array([0.0, 2.0, 4.0]), np.array([0.0, 2.0, 8.0]))
    slow = (np.array([1.0, 3.0]), np.array([3.0, 5.0]))
    joined = seeds.interpolated([fast, slow])
    assert joined.at.tolist() == [1.0, 2.0, 3.0]
    assert joined.mean.tolist() == [2.0, 3.0, 5.0]  # of (1, 3), (2, 4), (5, 5)
    assert joined.spread == pytest.approx([math.sqrt(2.0), math.sqrt(2.0), 0.0])
    band = seeds.stepwise([fast, slow])
    assert (band.at[0], band.at[-1]) == (1.0, 3.0)
    assert (band.mean[0], band.mean[-1]) == (1.5, 3.5)  # of (0, 3) and (2, 5)
    assert seeds.stepwise([slow]).mean.tolist() == [3.0, 5.0]
    assert seeds.lines_remark([1, 1]) == "" and "mean of 2 to 3 seeds" in seeds.lines_remark([3, 2])


def test_arms_that_are_not_there_are_left_out(root: Path) -> None:
    for arm in ENDS:
        if arm not in ("stn", "random"):
            shutil.rmtree(root / "compare-cnn" / arm)
    assert set(lines(draw("cnn_loss_over_time", root))) == {"STN", "Random search"}
    assert [row["arm"] for row in told("cnn_table", root)[1]] == ["stn", "random"]
    (root / "compare-cnn/random/result.json").unlink()  # a run that goes on
    assert set(lines(draw("cnn_loss_over_time", root))) == {"STN"}


def test_seeds_may_hold_different_arms(images: list[Path], tmp_path: Path) -> None:
    roots = [Path(shutil.copytree(one, tmp_path / one.name)) for one in images]
    shutil.rmtree(roots[1] / "compare-cnn/pbt")
    rows = {row["arm"]: row["seeds"] for row in told("cnn_table", *roots)[1]}
    assert rows["pbt"] == "2" and rows["stn"] == "3"
    assert "mean of 2 to 3 seeds" in words(draw("cnn_loss_over_time", *roots)).replace("\n", " ")
