"""Pictures of one run and of several: what is drawn, and how the lines are named."""

import numpy as np

from hyperopt_hn import Run
from hyperopt_hn.runs.__main__ import main
from hyperopt_hn.runs.display import plotting


def test_several_runs_are_one_picture(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(folder / "walk_x/one"), str(folder / "walk_x/two")]) == 0
    assert (tmp_path / "runs.png").read_bytes()[:4] == b"\x89PNG"
    assert main(["plot", str(folder), "--out", str(tmp_path / "p.svg")]) == 0
    assert capsys.readouterr().out.splitlines() == ["wrote runs.png", f"wrote {tmp_path / 'p.svg'}"]
    assert b"walk_x/one" in (tmp_path / "p.svg").read_bytes() or b"<svg" in (tmp_path / "p.svg").read_bytes()


def test_each_run_is_a_line_with_its_own_numbers(folder, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plotting, "_write", lambda figure, out: figures.append(figure))
    runs = [Run(folder / "walk_x" / arm) for arm in ("one", "two")]
    plotting.plot(runs, tmp_path / "p.png")
    plotting.plot(runs[:1], tmp_path / "p.png")
    (top, bottom), (alone, _) = (figure.axes for figure in figures)
    assert [line.get_label() for line in top.lines] == ["walk_x/one", "walk_x/two"]
    assert [np.asarray(line.get_ydata()).tolist() for line in top.lines] == [[3.0, 1.0, 2.0], [0.5]]
    assert [line.get_color() for line in top.lines] == [line.get_color() for line in bottom.lines] == ["C0", "C1"]
    assert [line.get_label() for line in alone.lines] == ["valid_loss", "test_loss"]


def test_runs_of_one_name_are_told_apart(folder):
    one = Run(folder / "walk_x" / "one")
    assert plotting.labels([one, Run(folder / "walk_x" / "two")]) == ["walk_x/one", "walk_x/two"]
    assert plotting.labels([one, one]) == [str(one.path)] * 2
