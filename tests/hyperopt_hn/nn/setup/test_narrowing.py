"""The spread of a log hyperparameter begins wide and ends at a decade; every other spread stays bit for bit."""

from __future__ import annotations

import json
import math

import pytest

torch = pytest.importorskip("torch")

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import Hypers, Tuning  # noqa: E402
from hyperopt_hn.nn.setup.narrowing import Narrowing  # noqa: E402
from tests.support.self_tuned import data, network, self_tuner  # noqa: E402

SPACE = HyperSpace(
    [
        Hyper("rate", 0.1, 0.0, 0.9),
        Hyper("decay", 1e-3, 1e-8, 1e2, log=True),  # ten decades: 2.5 a raw unit in the middle
        Hyper("own", 1e-3, 1e-8, 1e2, log=True, spread=1.5),
        Hyper("few", 0.3, 0.1, 1.0, log=True),
    ]
)


def spreads_in_a_run(steps):
    hypers = Hypers(SPACE, spread=2.0, decades=1.0)
    narrowing = Narrowing(hypers, 2.0, 1.0)
    narrowing.begin(steps)
    found = [hypers.sigma().tolist()]
    for _ in range(steps):
        narrowing.step()
        found.append(hypers.sigma().tolist())
    return hypers, torch.tensor(found, dtype=torch.float64)


def test_it_falls_in_a_straight_line_to_one_decade():
    before = Hypers(SPACE, spread=2.0, decades=1.0).rho.detach()
    hypers, found = spreads_in_a_run(30)
    wanted = [max(2.0 * (1 - step / 20), 0.4) for step in range(31)]  # a decade is 0.4 raw units there
    assert found[:, 1].tolist() == pytest.approx(wanted, rel=1e-6)
    assert torch.equal(hypers.rho[[0, 2, 3]], before[[0, 2, 3]])
    assert found[-1].tolist() == pytest.approx([2.0, 0.4, 1.5, 2.0], rel=1e-6)


def test_before_a_run_has_a_length_nothing_moves():
    hypers = Hypers(SPACE, spread=2.0, decades=1.0)
    before = hypers.rho.detach().clone()
    Narrowing(hypers, 2.0, 1.0).step()
    assert torch.equal(hypers.rho, before)
    assert not Narrowing(hypers, 2.0, math.inf).moves


def test_a_second_run_goes_on_narrow_and_a_state_goes_on_where_it_was():
    hypers, _ = spreads_in_a_run(30)
    narrowing = Narrowing(hypers, 2.0, 1.0)
    narrowing.load_state_dict({"steps": 30, "done": 30})
    narrowing.begin(500)
    assert hypers.sigma()[1].item() == pytest.approx(0.4)
    other = Narrowing(hypers, 2.0, 1.0)
    other.load_state_dict({"steps": 30, "done": 4})
    other.step()
    assert hypers.sigma()[1].item() == pytest.approx(2.0 * (1 - 5 / 20))


def test_fit_narrows_and_a_loop_of_ones_own_is_narrow_from_the_start():
    hypers = [Hyper("dropout", 0.1, 0.0, 0.9), Hyper("decay", 1e-3, 1e-7, 1e-1, log=True, shared=True)]
    tuner = self_tuner(network(), hypers)
    narrow = 4 / 6
    assert tuner.tuner.losses.hypers.sigma().tolist() == pytest.approx([2.0, narrow])
    train, valid, _ = data()
    tuner.fit(train, valid, steps=12, batch_size=50, quiet=True)
    assert tuner.tuner.optimizers.schedulers.train[-1].state_dict() == {"steps": 12, "done": 12}
    untouched = self_tuner(network(), hypers, tuning=Tuning(decades=math.inf))
    assert untouched.tuner.losses.hypers.sigma().tolist() == pytest.approx([2.0, 2.0])


def test_no_box_and_no_narrowing_can_be_asked_for_and_are_recorded(tmp_path):
    train, valid, _ = data()
    tuning = Tuning(decades=math.inf, box=math.inf)
    result = self_tuner(tuning=tuning).fit(train, valid, steps=3, batch_size=50, quiet=True, out=tmp_path / "run")
    recorded = json.loads((result.path / "config.json").read_text(), parse_constant=pytest.fail)["config"]
    assert (recorded["decades"], recorded["box"]) == ("inf", "inf")
