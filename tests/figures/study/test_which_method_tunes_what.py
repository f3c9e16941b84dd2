"""The picture shows what the table says; a table that is none is told in one line with the command that writes one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from figures.study.__main__ import main
from figures.study.which_method_tunes_what import GROUNDS, WORTH, ToldCell, draw, read_cells, short
from tests.support.paths import ROOT

HEAD = "problem,method,clear,right,ratio,low,high,flat,error,words\n"
TABLE = (
    "# seeds 1, 2; measured\n" + HEAD + "L2 strength,split,9,9,0.997,0.5,1.2,0,,\n"
    "L2 strength,implicit,9,3,-12.4,-13,1,0,,\nrate,split,0,0,,,,9,0.1,\nrate,implicit,9,0,,,,0,,no path\n"
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "slopes.csv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("right", "ratio", "words", "worth"),
    [
        (9, 0.5, "", 0), (9, 2.1, "", 1), (9, 0.1, "", 1), (8, 1.0, "", 2), (6, -1.0, "", 2), (5, 1.0, "", 3),
        (0, None, "no path", 4), (0, None, "", 4),
    ],
)  # fmt: skip
def test_what_a_cell_is_worth(right: int, ratio: float | None, words: str, worth: int) -> None:
    assert ToldCell("p", "m", 9, right, ratio, words).worth() == WORTH[worth]


def test_ratios_are_short() -> None:
    told = {0.997: "×1.0", -0.756: "×−.76", 0.004: "×0", -0.004: "×0", 3.74: "×3.7", 9.96: "×10", -12.4: "×−12"}
    assert {ratio: short(ratio) for ratio in told} == told


def test_the_picture_shows_the_table(table: Path) -> None:
    measured, cells = read_cells(table)
    fig = draw(measured, cells)
    (axes,) = fig.axes
    texts = {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in axes.texts}
    assert texts == {(0, 0): "9/9  ×1.0", (1, 0): "3/9  ×−12", (0, 1): "", (1, 1): "no path"}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["split", "implicit"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["L2 strength", "rate"]
    grounds = ["#{:02x}{:02x}{:02x}".format(*(round(255 * c) for c in p.get_facecolor()[:3])) for p in axes.patches]
    assert [g.upper() for g in grounds] == [GROUNDS[WORTH[i]] for i in (0, 3, 4, 4)]
    assert any("seeds 1, 2; measured" in text.get_text() for text in fig.texts)
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == [WORTH[0], WORTH[3], WORTH[4]]


def test_equal_tables_give_equal_bytes(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for out in ("one", "two"):
        assert main(["--slopes", str(table), "--out", str(tmp_path / out)]) == 0
    assert "one/which_method_tunes_what.png" in capsys.readouterr().out
    for kind in ("png", "pdf"):
        first, second = (tmp_path / out / f"which_method_tunes_what.{kind}" for out in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "text", [None, "", "# only this\n", "# no\na,b\n1,2\n", TABLE.replace("9,9", "9,x"), TABLE[2:]]
)
def test_what_is_no_table_is_told(text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "slopes.csv"
    if text is not None:
        path.write_text(text)
    assert main(["--slopes", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(path) in said and "python -m deep.study.slopes" in said
    assert not (tmp_path / "out").exists()


def test_the_recorded_table_fits_its_picture() -> None:
    """No word is wider than its cell, and every line of the table is there."""
    path = ROOT / "figures" / "recorded" / "study" / "slopes-seeds-701-703.csv"
    fig = draw(*read_cells(path))
    fig.draw_without_rendering()
    (axes,) = fig.axes
    lines = list(csv.DictReader(path.read_text().splitlines()[1:]))
    assert len(axes.texts) == len(lines) == 84
    assert all(
        t.get_window_extent().width <= p.get_window_extent().width
        for t, p in zip(axes.texts, axes.patches, strict=True)
    )
