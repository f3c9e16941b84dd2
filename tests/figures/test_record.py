"""Recorded copies of runs: small, complete for the figures, and drawing the same bytes."""

import pytest

from figures import record
from figures.catalogue import SHEETS
from figures.kit import render
from figures.kit.roots import expand
from tests.reference.synthetic_deep import write_deep
from tests.reference.synthetic_runs import write_all
from tests.support.drawn import DEEP
from tests.support.paths import ROOT

RECORDED = ROOT / "figures" / "recorded"


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_recorded_copy_draws_the_same_and_leaves_the_rest_behind(tmp_path, capsys):
    root = write_all(tmp_path / "runs")
    (root / "global-small" / "hypernet" / "checkpoint.npz").write_bytes(bytes(10_000))
    assert record.main(["--runs", str(root), "--out", str(tmp_path / "recorded")]) == 0
    copied = capsys.readouterr().out.splitlines()
    assert len(copied) == len([name for name in record.needed() if (root / name).is_dir()])
    copy = tmp_path / "recorded" / root.name
    assert size(copy) < size(root) and not list(copy.rglob("checkpoint*"))
    for name in ("hypernets_global_small", "hypernets_local_large"):
        drawn = []
        for parent in (root, copy):
            (runs,) = render.gather({name: SHEETS[name]}, expand([parent]))[name]
            drawn.append(render.encode(name, SHEETS[name].draw(runs)))
        assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("data", "figure"), [("cifar10-jpeg", "cnn_table"), ("ptb", "lstm_schedules")])
def test_deep_runs_are_copied_and_draw_the_same(data, figure, tmp_path):
    root = write_deep(tmp_path / "runs", data=data)
    runs = {folder.relative_to(root) for folder in root.glob("*/*")}
    for run in runs:
        (root / run / "checkpoint.pt").write_bytes(bytes(10_000))
    assert record.main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "recorded")]) == 0
    copy = tmp_path / "recorded" / root.name
    assert {folder.relative_to(copy) for folder in copy.glob("*/*")} == runs
    assert not list(copy.rglob("checkpoint*"))
    assert set(render.feasible(SHEETS, [copy])) == set(render.feasible(SHEETS, [root])) >= {figure}
    drawn = []
    for one in (root, copy):
        sheet = SHEETS[figure]
        drawn.append(render.encode(figure, sheet.draw(*render.gather({figure: sheet}, [one])[figure])))
    assert drawn[0] == drawn[1]


def test_every_run_of_every_figure_is_copied():
    assert {name for sheet in SHEETS.values() for name in (*sheet.reads, *sheet.optional)} == set(record.needed())


def test_the_recorded_runs_serve_every_figure():
    """`make figures RUNS=figures/recorded`: every run is there, with what the figures read."""
    roots = expand([RECORDED])
    names = [root.name for root in roots]
    assert {f"paper-mnist-seed{seed}" for seed in (7, 8, 9)} <= set(names)
    sheets = render.feasible(SHEETS, roots)
    assert set(SHEETS) - set(sheets) <= set(DEEP)
    gathered = render.gather(sheets, roots)
    assert size(RECORDED) < 5_000_000
    for name in ("ax2_hist", *(name for name in DEEP if name in sheets)):
        files = render.encode(name, sheets[name].draw(*gathered[name]))
        assert all(len(data) > 5_000 for data in files.values())


def test_no_runs_is_one_line_and_code_2(tmp_path, capsys):
    assert record.main(["--runs", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
