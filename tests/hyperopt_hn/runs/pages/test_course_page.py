"""The page of a run's course in a browser, here of a deep one's recorded copy: the record at each time."""

import json

import numpy as np
import pytest

from tests.support.browser import opened
from tests.support.paths import ROOT
from toy.__main__ import main

pytest.importorskip("bokeh", reason="bokeh is not installed (pip install 'hyperopt_hn[explore]')")

from hyperopt_hn.runs.pages import course_page

LOSSES = ("train_loss", "valid_loss", "test_loss")
RUN = ROOT / "figures/recorded/quick-ptb-seed7/compare-lstm/stn"


def test_time_moves_the_table_through_the_record(tmp_path):
    assert main(["explore", str(RUN), "--out", str(tmp_path)]) == 0
    (page,) = tmp_path.iterdir()
    assert page.stat().st_size < 3_000_000
    records = [json.loads(line) for line in (RUN / "log.jsonl").read_text().splitlines()]
    with opened(page) as browser:
        for at in (len(records) - 1, 0, 3):
            browser.set("time", at)
            shown = browser.model("numbers", "data")
            found = dict(zip(shown["what"], shown["value"], strict=True))
            wanted = {name: records[at][name] for name in LOSSES if name in records[at]}
            for name, value in {**wanted, **records[at]["hypers"]}.items():
                np.testing.assert_allclose(found[name], value, rtol=1e-15)
            assert f"step {records[at]['step']}, record {at + 1} of {len(records)}" in browser.text()
        handle = browser.elements(".noUi-handle")[0]
        handle.send_keys("\ue014")  # arrow right
        assert browser.model("time", "value") == 4
        assert browser.mistakes() == [] and browser.fetched() == []


def test_the_first_record_does_not_flatten_the_losses_and_wide_courses_are_logarithmic():
    from bokeh.models import HoverTool, LogScale

    steps = np.arange(4.0)
    low, high = course_page.settled_range([np.array([900.0, 3.0, 2.0, 1.0]), np.array([np.nan, 5.0, np.nan, 4.0])])
    assert low == pytest.approx(0.8) and high == pytest.approx(5.2)
    assert course_page.settled_range([np.array([2.0, np.nan])]) == pytest.approx((1.95, 2.05))
    wide = course_page._course("hypers/decay", steps, np.array([1e-7, 1e-5, 1e-4, np.nan]))
    narrow = course_page._course("hypers/dropout", steps, np.array([0.1, 0.3, 0.2, 0.4]))
    zero = course_page._course("hypers/rate", steps, np.array([0.0, 0.3, 0.2, 0.4]))
    assert [isinstance(plot.y_scale, LogScale) for plot in (wide, narrow, zero)] == [True, False, False]
    (hover,) = wide.select(HoverTool)
    assert [name for name, _ in hover.tooltips] == ["step", "decay"]
