"""The page of learned against true losses in a browser: errors among the networks that the slider leaves."""

import numpy as np
import pytest

from hyperopt_hn.runs.reader import Run
from tests.support.browser import opened
from tests.support.paths import ROOT
from toy.__main__ import main

pytest.importorskip("bokeh", reason="bokeh is not installed (pip install 'hyperopt_hn[explore]')")
RUN = ROOT / "figures/recorded/paper-mnist-seed7/weights-vs-loss/surrogates"


def test_the_slider_leaves_networks_out_of_the_errors(tmp_path):
    assert main(["explore", str(RUN), "--out", str(tmp_path)]) == 0
    (page,) = tmp_path.iterdir()
    assert page.stat().st_size < 3_000_000
    arrays = Run(RUN).arrays
    with opened(page) as browser:
        for most in (np.inf, 0.7, 0.9):
            if np.isfinite(most):
                browser.set("most", most)
            kept = arrays["true"] <= most
            found = browser.model("numbers", "data")
            for place, name in enumerate(("gp", "gp_fair", "fixed", "stochastic")):
                error = (arrays[name] - arrays["true"])[kept]
                assert found["bias"][place] == pytest.approx(error.mean(), abs=1e-9)
                assert found["rmse"][place] == pytest.approx(np.sqrt(np.mean(error**2)), abs=1e-9)
            assert f"{kept.sum()} of {len(kept)} networks" in browser.text()
        assert browser.mistakes() == [] and browser.fetched() == []
