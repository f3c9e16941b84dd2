"""The loss along an axis is that of the plain model with the response's weights there; everything else stays."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import cross_entropy  # noqa: E402

from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn.tuning.axes import REACH  # noqa: E402
from tests.support.self_tuned import data, self_tuner  # noqa: E402


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    train, valid, test = data()
    tuner = self_tuner()
    out = tmp_path_factory.mktemp("runs") / "run"
    return tuner, tuner.fit(train, valid, test, steps=60, batch_size=50, quiet=True, out=out), valid


def test_each_point_is_the_models_loss_at_that_value(tuned):
    tuner, _, valid = tuned
    before = {name: value.clone() for name, value in tuner.model.state_dict().items()}
    found = tuner.response_axes(points=5)
    assert list(found) == ["dropout", "decay"]
    hypers, response = tuner.tuner.losses.hypers, tuner.tuner.response
    x, y = (torch.as_tensor(part) for part in valid)
    for name, axis in found.items():
        assert axis["here"] == hypers.plain()[name] and len(axis["values"]) == 5
        for value, loss in zip(axis["values"], axis["valid_loss"], strict=True):
            lam = hypers.raw({name: value})
            with torch.no_grad(), response.view(tuner.tuner.losses, lam.expand(len(x), -1), True):
                wanted = cross_entropy(tuner.model.eval()(x), y).item()
            assert loss == pytest.approx(wanted, rel=1e-5)
    low, high = (float(hypers.raw({"dropout": found["dropout"]["values"][end]})[0]) for end in (0, -1))
    here = float(hypers.lam[0].detach())
    assert (low, high) == pytest.approx((max(here - REACH, -3.5), min(here + REACH, 3.5)), abs=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in tuner.model.state_dict().items())
    assert len({round(loss, 9) for loss in found["dropout"]["valid_loss"]}) > 1, "the response moves the weights"


def test_it_is_written_where_the_page_finds_it(tuned, tmp_path):
    tuner, result, _ = tuned
    found = tuner.response_axes(points=3, out=result.path)
    assert json.loads((result.path / "axes.json").read_text()) == found
    with pytest.raises(UserError, match="no run's folder"):
        tuner.response_axes(out=tmp_path)
    with pytest.raises(UserError, match="points=1 is no curve"):
        tuner.response_axes(points=1)


def test_the_page_shows_the_curves_and_refuses_what_is_none(tuned, tmp_path):
    pytest.importorskip("bokeh")
    from hyperopt_hn.runs.pages import course_page
    from hyperopt_hn.runs.pages.curves import read_axes
    from hyperopt_hn.runs.reader import Run

    tuner, result, _ = tuned
    tuner.response_axes(points=4, out=result.path)
    axes = read_axes(Run(result.path))
    assert {name: len(values) for name, (values, _, _) in axes.items()} == {"dropout": 4, "decay": 4}
    page = course_page.build(Run(result.path), tmp_path / "page.html").read_text()
    assert ("response along dropout" in page and "decay: gain t" in page) or "response along decay" in page
    for text in ("{", '{"a": 3}', '{"a": {"values": [1], "valid_loss": [2], "here": 1}}', "[1]"):
        (result.path / "axes.json").write_text(text)
        with pytest.raises(UserError, match=r"axes\.json"):
            read_axes(Run(result.path))
    (result.path / "axes.json").unlink()
    assert read_axes(Run(result.path)) == {} and np.isfinite(result.best_loss)
