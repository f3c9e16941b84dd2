"""ASGD: the mean of the weights since the rule fired is what is evaluated; training itself goes on untouched."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from deep.lstm.averaging import Averaged  # noqa: E402
from tests.support.lstm_cases import config, tuner  # noqa: E402


def settings(average):
    given = config(tune="dropouto")
    return replace(given, descent=replace(given.descent, decay="none"), average=average)


def weights(made):
    return {name: p.detach().clone() for name, p in made.losses.bare.named_parameters()}


def force(made, losses):
    """Let the rule see these validation losses."""
    real = made.tuner.evaluate
    made.tuner.evaluate = lambda: {**real(), "valid_loss": losses.pop(0)}
    for _ in range(len(losses)):
        made.evaluate()
    made.tuner.evaluate = real


def test_the_rule_is_the_non_monotone_one():
    """Above the best of all but the last `window` losses (Merity et al. 2018, alg. 1)."""
    made = tuner(settings(2))
    assert isinstance(made, Averaged)
    force(made, [5.0, 4.0, 4.5, 4.4])
    assert made.state()["count"] == 0  # 4.4 is below 5, the best of all but the last two
    force(made, [4.6])
    assert made.state()["count"] == 1


def journey(made, count, evaluate=False):
    """Losses of some steps from one random state (masks come from torch's generator), and the weights after each."""
    torch.manual_seed(4)
    told, seen = [], []
    for _ in range(count):
        told += [made.train_step(), made.tune_step()]
        told += [made.evaluate()] if evaluate else []
        seen.append(weights(made.tuner if isinstance(made, Averaged) else made))
    return told, seen


def test_the_mean_is_that_of_the_weights_since_then():
    made, alone = tuner(settings(1)), tuner(settings(0))
    force(made, [1.0, 2.0, 3.0])
    assert made.state()["count"] == 1
    start = weights(alone)
    told, seen = journey(alone, 5)
    assert journey(made, 5)[0] == told
    for name, own in weights(made.tuner).items():  # training goes on at the weights themselves
        assert torch.equal(own, seen[-1][name])
    wanted = {name: torch.stack([w[name] for w in (start, *seen)]).mean(0) for name in start}
    found = made.evaluate()
    assert found["averaged"] == 1.0
    with torch.no_grad():
        for name, p in alone.losses.bare.named_parameters():
            p.copy_(wanted[name])
    assert found["valid_loss"] == pytest.approx(alone.evaluate()["valid_loss"], abs=1e-6)
    for name, own in weights(made.tuner).items():  # and evaluation left them where they were
        assert torch.equal(own, seen[-1][name])


def test_before_the_rule_fires_it_is_the_tuner():
    made, alone = tuner(settings(9)), tuner(settings(0))
    told, _ = journey(made, 3, evaluate=True)
    for report in told[2::3]:
        assert report.pop("averaged") == 0.0
    assert told == journey(alone, 3, evaluate=True)[0]
    assert made.hypers() == alone.hypers()


def test_the_collapsed_model_is_the_mean():
    made = tuner(settings(1))
    force(made, [1.0, 2.0, 3.0])
    start = made.collapsed().decoder.weight.detach().clone()
    made.train_step()
    own = made.tuner.collapsed().decoder.weight.detach()
    assert torch.allclose(made.collapsed().decoder.weight, (start + own) / 2, atol=1e-7)
    assert made.arrays().keys() == made.tuner.arrays().keys()
