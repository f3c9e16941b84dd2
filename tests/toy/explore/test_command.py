"""`python -m toy explore`: which runs have a page, and mistakes in one line."""

import sys

import pytest

from tests.reference.synthetic_runs import write_all
from toy.__main__ import main

pytest.importorskip("bokeh", reason="bokeh is not installed (pip install 'hyperopt_hn[explore]')")


def refused(capsys, *words):
    assert main(["explore", *map(str, words)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error: ") and told.err.count("\n") == 1
    return told.err


def test_mistakes_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_all(tmp_path)
    assert "records no course" in refused(capsys, root / "local-medium/tpe")
    assert "missing" in refused(capsys, tmp_path / "nowhere")
    assert "under runs/" in refused(capsys)
    assert "--help" in refused(capsys, "--ot", "x")
    assert "checkpoint.npz is missing" in refused(capsys, root / "local-small/hypernet")  # a recorded copy
    (root / "global-small/hypernet/result.json").unlink()
    assert "python -m toy global-small --resume" in refused(capsys, root / "global-small/hypernet")


def test_without_bokeh_the_remedy_is_named(tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("toy.explore")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    monkeypatch.setitem(sys.modules, "bokeh.layouts", None)
    assert "hyperopt_hn[explore]" in refused(capsys, tmp_path)


def test_the_overview_names_it(capsys):
    assert main(["--help"]) == 0
    assert "python -m toy explore RUN" in capsys.readouterr().out
