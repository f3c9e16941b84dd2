"""The page of the loss manifold in a browser: its numbers are the closed forms."""

import numpy as np
import pytest

from tests.support.browser import opened
from tests.support.paths import ROOT
from toy import manifold
from toy.__main__ import main

pytest.importorskip("bokeh", reason="bokeh is not installed (pip install 'hyperopt_hn[explore]')")
RUN = ROOT / "figures/recorded/paper-mnist-seed7/loss-manifold/closed-form"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert main(["explore", str(RUN), "--out", str(out)]) == 0
    return out / "paper-mnist-seed7-loss-manifold-closed-form.html"


def expected(lam, hat):
    w = np.array([-np.sin(lam), -np.sin(hat) - np.cos(hat) * (lam - hat)])
    return {"w": w, "train": manifold.train_loss(w, lam), "valid": np.sin(w)}


def test_both_sliders_move_the_numbers_and_the_lines(page):
    assert page.stat().st_size < 3_000_000
    with opened(page) as browser:
        for lam, hat in ((1.0, 0.0), (-2.5, 0.0), (-2.5, 1.1), (3.0, -0.4)):
            browser.set("lambda", lam)
            browser.set("hat", hat)
            data = browser.model("numbers", "data")
            for name, values in expected(lam, hat).items():
                np.testing.assert_allclose(data[name], values, rtol=0, atol=1e-12)
        line = browser.model("line", "data")
        lams = np.array(browser.driver.execute_script(
            "return Array.from(Bokeh.documents[0].get_model_by_name('line').data.lam)"
        ))  # fmt: skip
        np.testing.assert_allclose(line["w"], -np.sin(-0.4) - np.cos(-0.4) * (lams + 0.4), atol=1e-12)
        handles = browser.elements(".noUi-handle")
        handles[1].send_keys("\ue012")  # arrow left
        assert browser.model("hat", "value") == pytest.approx(-0.41)
        assert browser.mistakes() == [] and browser.fetched() == []
