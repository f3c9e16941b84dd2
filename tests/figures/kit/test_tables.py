"""Tables: cells are means and deviations at the best states, recalled numbers are told apart."""

from __future__ import annotations

import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from figures.kit import published, style
from tests.reference.synthetic_deep import CNN, ENDS, TABLE1, Writer, records
from tests.support.drawn import LABELS, at_best, draw, log, rewrite_log, told, words


def test_the_cnn_tables_cells_are_means_and_deviations(images: list[Path]) -> None:
    shown = words(draw("cnn_table", *images)).splitlines()
    _, rows = told("cnn_table", *images)
    assert [row["arm"] for row in rows] == list(ENDS)
    for row in rows:
        assert LABELS[row["arm"]] in shown and row["seeds"] == "3"
        for key, column, factor, digits in (
            ("valid_loss", "valid_loss", 1.0, 3), ("test_loss", "test_loss", 1.0, 3),
            ("valid_accuracy", "valid_accuracy_percent", 100.0, 1),
            ("test_accuracy", "test_accuracy_percent", 100.0, 1),
        ):  # fmt: skip
            values = [factor * at_best(root / "compare-cnn" / row["arm"], key) for root in images]
            mean, sd = statistics.mean(values), statistics.stdev(values)
            assert (float(row[column]), float(row[f"{column}_sd"])) == (pytest.approx(mean), pytest.approx(sd))
            assert f"{mean:.{digits}f} ± {sd:.{digits}f}" in shown


def test_table1_is_of_perplexities(texts: list[Path]) -> None:
    shown = words(draw("table1", *texts)).splitlines()
    assert "Fixed rate 0.68" in shown and "Fixed at the STN's final rate 0.75" in shown  # as the runs recorded
    _, rows = told("table1", *texts)
    assert [row["arm"] for row in rows] == list(TABLE1)
    for row in rows:
        for split in ("valid", "test"):
            values = [math.exp(at_best(root / "table1" / row["arm"], f"{split}_loss")) for root in texts]
            assert float(row[f"{split}_perplexity"]) == pytest.approx(statistics.mean(values))
            assert float(row[f"{split}_perplexity_sd"]) == pytest.approx(statistics.stdev(values))
            assert f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" in shown


@pytest.mark.parametrize("name", ["cnn_table", "table1"])
def test_recalled_numbers_are_told_apart(name: str, images: list[Path], texts: list[Path]) -> None:
    roots, table = (images, published.CIFAR) if name == "cnn_table" else (texts, published.OUTPUT_DROPOUT)
    fig = draw(name, *roots)
    flat = words(fig).replace("\n", " ")
    assert flat.count("recalled, not re-read") >= 2 and "not like for like (" in flat and "preset quick" in flat
    assert ("JPEG copy, not CIFAR-10" in flat and "model small, not alexnet" in flat) == (name == "cnn_table")
    assert ("hidden 64, not 650; train_tokens 60000, not all" in flat) == (name == "table1")
    comments, rows = told(name, *roots)
    assert any("recalled, not re-read" in line and "not like for like" in line for line in comments)
    for row in rows:
        pair = table.rows.get(row["arm"])
        expected = ["", "", ""] if pair is None else [str(pair.valid), str(pair.test), "no"]
        assert [row["recalled_valid"], row["recalled_test"], row["like_for_like"]] == expected
        for number in () if pair is None else (pair.valid, pair.test):
            (text,) = [t for t in fig.findobj(Text) if t.get_text() == f"{number:.{3 if 'cnn' in name else 2}f}"]
            assert text.get_color() == style.GREY and text.get_style() == "italic"


def test_recalled_numbers_stay_recalled_under_the_papers_settings(tmp_path: Path) -> None:
    write = Writer(tmp_path / "paper-cifar10-seed7", {"model": "alexnet", "n_train": 40000, "n_valid": 10000}, 7)
    write("compare-cnn/stn", records(np.random.default_rng(0), 0.6, CNN))
    flat = words(draw("cnn_table", write.root)).replace("\n", " ")
    assert "recalled, not re-read" in flat and "not like for like" not in flat
    assert told("cnn_table", write.root)[1][0]["like_for_like"] == "not known"


def test_recalled_numbers_live_in_one_file() -> None:
    folder = Path(published.__file__).parent
    pairs = [*published.CIFAR.rows.values(), *published.OUTPUT_DROPOUT.rows.values()]
    numbers = {f"{number:.2f}" for pair in pairs for number in (pair.valid, pair.test) if number > 1.0}
    numbers |= {f"{number:.3f}" for pair in pairs for number in (pair.valid, pair.test) if number < 1.0}
    for path in folder.glob("*.py"):
        found = numbers & set(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", path.read_text()))
        assert not found or path.name == "published.py", (path, found)


def test_a_log_without_accuracies_leaves_the_cells_empty(root: Path) -> None:
    bare = [{k: v for k, v in e.items() if "accuracy" not in k} for e in log(root / "compare-cnn/gp")]
    rewrite_log(root / "compare-cnn/gp", bare)
    row = next(row for row in told("cnn_table", root)[1] if row["arm"] == "gp")
    assert row["valid_accuracy_percent"] == row["test_accuracy_percent_sd"] == "" and row["valid_loss"]
