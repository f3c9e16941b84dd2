"""Recorded copies of runs: small, complete for the figures, and drawing the same bytes."""

from pathlib import Path

from figures import press, reading, record
from figures.catalogue import SHEETS
from tests.reference.synthetic_runs import write_all

RECORDED = Path(__file__).parents[1] / "figures" / "recorded"


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_recorded_copy_draws_the_same_and_leaves_the_rest_behind(tmp_path, capsys):
    root = write_all(tmp_path / "runs")
    (root / "global-small" / "hypernet" / "checkpoint.npz").write_bytes(bytes(10_000))
    assert record.main(["--runs", str(root), "--out", str(tmp_path / "recorded")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(record.needed())
    copy = tmp_path / "recorded" / root.name
    assert size(copy) < size(root) and not list(copy.rglob("checkpoint*"))
    for name in ("hypernets_global_small", "hypernets_local_large"):
        drawn = []
        for parent in (root, copy):
            (runs,) = press.gather({name: SHEETS[name]}, reading.expand([parent]))[name]
            drawn.append(press.render(name, SHEETS[name].draw(runs)))
        assert drawn[0] == drawn[1]


def test_every_run_of_every_figure_is_copied():
    assert {name for sheet in SHEETS.values() for name in (*sheet.reads, *sheet.optional)} == set(record.needed())


def test_the_recorded_runs_serve_every_figure():
    """`make figures RUNS=figures/recorded`: every run is there, with what the figures read, at the paper's preset."""
    roots = reading.expand([RECORDED])
    assert [root.name for root in roots] == [f"paper-mnist-seed{seed}" for seed in (7, 8, 9)]
    gathered = press.gather(SHEETS, roots)
    assert set(gathered) == set(SHEETS)
    assert size(RECORDED) < 3_000_000
    drawn = press.render("ax2_hist", SHEETS["ax2_hist"].draw(*gathered["ax2_hist"]))
    assert all(len(data) > 5_000 for data in drawn.values())


def test_no_runs_is_one_line_and_code_2(tmp_path, capsys):
    assert record.main(["--runs", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
