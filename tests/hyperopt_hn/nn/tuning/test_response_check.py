"""check_response tells a true response from a false one; the over-tuning watch speaks when it should."""

from __future__ import annotations

import math
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import convert, response_parameters  # noqa: E402
from hyperopt_hn.nn.conversion.penalty import squared_norm  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.setup.hypers import Hypers  # noqa: E402
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem  # noqa: E402
from hyperopt_hn.nn.tuning.response_check import OverTuning, OverTuningWarning, Retraining, check_response  # noqa: E402
from hyperopt_hn.nn.tuning.tuner import TorchTuner  # noqa: E402

GRID = {"decay": [0.1, 0.2, 0.4]}


def regression(response="delta", steps=0, drop=False):
    """Ridge regression by a responding linear layer, decay 0.2."""
    g = torch.Generator().manual_seed(0)
    w = torch.randn(8, generator=g)
    x, xv = torch.randn(24, 8, generator=g), torch.randn(100, 8, generator=g)
    y, yv = x @ w + 1.5 * torch.randn(24, generator=g), xv @ w + 1.5 * torch.randn(100, generator=g)
    hypers_of = [Hyper("decay", 0.2, 1e-3, 10.0, log=True, shared=True, spread=0.5)]
    space = HyperSpace([*hypers_of, Hyper("drop", 0.2, 0.0, 0.9)] if drop else hypers_of)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 1))
    model, hypers = convert(net, space, dropout={"0": "drop"} if drop else None, exclude=[]), Hypers(space)
    if not drop:
        model[0].p = 0.0

    def fit(m, batch):
        return (m(batch[0])[:, 0] - batch[1]).square().mean()

    problem = TorchProblem(lambda m, b, h: fit(m, b) + h["decay"] * squared_norm(m), fit,
                           Batches.of((x, y), 24), Batches.of((xv, yv), 50))  # fmt: skip
    phi = torch.optim.Adam(model.parameters(), 0.02)
    tuner = TorchTuner(model, hypers, problem, Optimizers(phi, torch.optim.Adam([hypers.lam], 0.02)), response)
    for step in range(steps):
        phi.param_groups[0]["lr"] = 0.05 if step < steps // 2 else 0.003
        tuner.train_step()
    phi.param_groups[0]["lr"] = 0.02
    return tuner


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_a_learned_response_is_near_the_retrained_truth(response):
    tuner = regression(response, 600)
    check = check_response(tuner, tuner.problem, GRID, retraining=Retraining(steps=120))
    assert check.error < 0.5 * check.blind_error, str(check)
    assert check.unsettled < 0.2 * check.blind_error, str(check)
    assert check.truth[0] != check.truth[2]


def test_a_false_response_is_caught():
    tuner = regression("delta", 300)
    with torch.no_grad():
        for p in response_parameters(tuner.losses.bare):
            p.neg_()
            p.mul_(2.0)
        tuner.losses.bare[1].response_scale.neg_()
    check = check_response(tuner, tuner.problem, GRID, retraining=Retraining(steps=120))
    assert check.error > check.blind_error, str(check)


def test_the_tuner_is_left_as_it_was():
    """Same bits and the same next steps as without the check, dropout and all."""
    one, other = regression(drop=True, steps=5), regression(drop=True, steps=5)
    state = torch.get_rng_state()
    check_response(one, one.problem, {"drop": [0.1, 0.5]}, retraining=Retraining(steps=5))
    assert torch.equal(state, torch.get_rng_state())
    ours = [one.train_step(), one.tune_step(), one.train_step()]
    torch.set_rng_state(state)
    assert ours == [other.train_step(), other.tune_step(), other.train_step()]
    for a, b in zip(one.losses.bare.parameters(), other.losses.bare.parameters(), strict=True):
        assert torch.equal(a, b)


def test_threads_give_the_same_numbers():
    tuner = regression(steps=50)
    alone = check_response(tuner, tuner.problem, GRID, retraining=Retraining(steps=30))
    together = check_response(tuner, tuner.problem, GRID, retraining=Retraining(steps=30, workers=3))
    assert alone == together


def test_whole_settings_own_optimizer_and_picture(tmp_path):
    tuner = regression(steps=20, drop=True)
    plan = Retraining(steps=10, optimizer=lambda weights: torch.optim.SGD(weights, 0.01))
    check = check_response(tuner, tuner.problem, [{"decay": 0.3, "drop": 0.5}, {"drop": 0.1}], retraining=plan)
    assert "decay=0.3, drop=0.5" in str(check)
    assert "knowing nothing" in str(check)
    pytest.importorskip("matplotlib")
    assert check.picture(tmp_path / "check.png").path == tmp_path / "check.png"
    assert repr(check) == str(check)
    check_response(tuner, tuner.problem, GRID, retraining=plan).picture(tmp_path / "line.pdf")
    assert (tmp_path / "check.png").stat().st_size > 1000
    assert (tmp_path / "line.pdf").stat().st_size > 1000


def test_bad_input():
    tuner = regression()
    with pytest.raises(UserError, match="decai"):
        check_response(tuner, tuner.problem, {"decai": [0.1]})
    with pytest.raises(UserError, match="not strictly between"):
        check_response(tuner, tuner.problem, {"decay": [100.0]})
    with pytest.raises(UserError, match="grid is empty"):
        check_response(tuner, tuner.problem, {})
    with pytest.raises(UserError, match="learns no response"):
        check_response(regression("implicit"), tuner.problem, GRID)
    with pytest.raises(UserError, match="too small"):
        Retraining(steps=0)


def over(valid, test, patience=3):
    watch = OverTuning(patience)
    return [watch.update(i, v, h) for i, (v, h) in enumerate(zip(valid, test, strict=True))]


def test_over_tuning_is_told_once_with_the_figures():
    valid = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    test = [1.0, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2]
    with pytest.warns(
        OverTuningWarning, match=r"from step 1 to 4 its loss fell from 0.9 to 0.6 .* rose from 0.9 to 1.05"
    ):
        told = over(valid, test)
    assert told == [False] * 4 + [True, False, False]


@pytest.mark.parametrize(
    ("valid", "test"),
    [
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]),  # both fall
        ([1.0, 0.9, 1.0, 1.1, 1.2, 1.3], [1.0, 0.9, 1.0, 1.1, 1.2, 1.3]),  # both rise: not over-tuning
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], [1.0, 0.9, 0.901, 0.899, 0.903, 0.905]),  # within the noise
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], [1.0, 0.9, 1.1, 0.9, 1.1, 0.9]),  # not for long
        ([math.nan] * 6, [math.nan] * 6),
    ],
)
def test_over_tuning_is_silent_otherwise(valid, test):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not any(over(valid, test))


def test_the_tuner_watches_its_held_out_split():
    from tests.hyperopt_hn.nn.tuning.test_tuner import build, data

    tuner = build(test=Batches.of(data(7), 16))
    tuner._over = OverTuning(patience=1, margin=-10.0)
    tuner.evaluate()
    tuner._over._best[1] = 10.0
    tuner._over._best[2] = -1.0
    with pytest.warns(OverTuningWarning, match="use a larger validation split"):
        tuner.evaluate()
