"""`python -m deep explore`: the response's curves against collapsed networks, recorded copies, mistakes in a line."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("bokeh", reason="bokeh is not installed (pip install 'hyperopt_hn[explore]')")

from deep.__main__ import main  # noqa: E402
from deep.api.best_network import load_best, restored  # noqa: E402
from deep.api.run_pages import WITHOUT  # noqa: E402
from tests.support.browser import opened  # noqa: E402
from tests.support.paths import ROOT  # noqa: E402

OURS = ("deep.api.run_pages", "hyperopt_hn.runs.pages", "bokeh")
RECORDED = ROOT / "figures/recorded/quick-ptb-seed7"


@pytest.fixture
def run(tmp_path, capsys, one_thread):
    words = ["lstm", "--preset", "smoke", "--data", "topics", "--device", "cpu", "--out", str(tmp_path / "runs")]
    assert main(words) == 0, capsys.readouterr()
    (config,) = (tmp_path / "runs").rglob("config.json")
    capsys.readouterr()
    return config.parent


def test_the_curves_are_the_losses_of_collapsed_networks(run, tmp_path, capsys):
    assert main(["explore", str(run.parents[1]), "--out", str(tmp_path), "--points", "3", "--batches", "2"]) == 0
    (page,) = tmp_path.glob("*.html")
    assert capsys.readouterr().out == f"{page}\n" and page.stat().st_size < 3_000_000
    curves = _curves(page)
    best = load_best(run)
    assert {name for name in best.hypers if f"response along {name}" in curves} != set()
    for title, (values, losses) in curves.items():
        for value, loss in zip(values, losses, strict=True):
            tuner = restored(run).tuner
            network = tuner.collapsed({title.removeprefix("response along "): value}).eval()
            total, rows = 0.0, 0
            with torch.no_grad():
                for batch in islice(tuner.problem.valid.once(), 2):  # a batch goes on with the last one's state
                    count = tuner.problem.rows(batch)
                    total, rows = total + count * float(tuner.problem.valid_loss(network, batch)), rows + count
            assert loss == pytest.approx(total / rows, rel=1e-6)


def test_a_recorded_copy_says_why_it_has_no_curve(tmp_path, capsys):
    assert main(["explore", str(RECORDED / "compare-lstm/delta"), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "quick-ptb-seed7-compare-lstm-delta.html").read_text()
    assert WITHOUT.strip() in page and "response along" not in page
    with opened(tmp_path / "quick-ptb-seed7-compare-lstm-delta.html") as browser:
        assert WITHOUT.strip() in browser.text() and browser.mistakes() == [] and browser.fetched() == []


def test_a_search_has_its_course_alone(tmp_path, one_thread):
    words = ["compare-lstm", "--preset", "smoke", "--data", "topics", "--device", "cpu", "--arms", "random"]
    assert main([*words, "--out", str(tmp_path / "runs")]) == 0
    assert list((tmp_path / "runs").rglob("best.pt")), "it has a best state, but no network in it"
    assert main(["explore", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    (page,) = (tmp_path / "out").glob("*.html")
    assert "a search trains many networks" in page.read_text()


def test_mistakes_are_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for words, said in (
        ([tmp_path / "nowhere"], "missing"),
        ([tmp_path / "empty"], "has no run that records"),
        ([], "--help"),
        ([RECORDED, "--points", "1"], "--points 1"),
    ):
        assert main(["explore", *map(str, words)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("error: ") and told.err.count("\n") == 1 and said in told.err


def test_without_bokeh_the_remedy_is_named(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(OURS)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    assert main(["explore", str(RECORDED)]) == 2 and "hyperopt_hn[explore]" in capsys.readouterr().err


def _curves(page):
    """Title -> values and losses of each panel of a response, out of the page's own data."""
    (text,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page.read_text(), re.S)
    found = {}

    def look(node):
        if isinstance(node, dict):
            title = node.get("attributes", {}).get("title")
            words = title.get("attributes", {}).get("text", "") if isinstance(title, dict) else ""
            if words.startswith("response along "):
                (line,) = [r for r in node["attributes"]["renderers"] if r["name"] == "GlyphRenderer"]
                data = dict(line["attributes"]["data_source"]["attributes"]["data"]["entries"])
                found[words] = tuple(_numbers(data[axis]) for axis in "xy")
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(json.loads(text))
    return found


def _numbers(given):
    """What Bokeh wrote of an array: base64 of its bytes, packed."""
    if isinstance(given, list):
        return given
    return np.frombuffer(gzip.decompress(base64.b64decode(given["array"]["data"])), given["dtype"]).tolist()
