"""The two example scripts run, learn, tune, and give back plain models."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from hyperopt_hn import Alternation, Run  # noqa: E402

PLAN = Alternation(steps=24, warmup=8, train_per_cycle=2, evaluate_every=16)


def example_of_resnet():
    pytest.importorskip("torchvision")
    pytest.importorskip("sklearn")
    from tests.examples import resnet18_digits

    return resnet18_digits


def test_resnet18_on_digits():
    """A user's own loop, three steps long."""
    example = example_of_resnet()
    from torchvision.models import resnet18

    tuner = example.build(batch=16)
    for _ in range(2):
        tuner.train_step()
    tuner.tune_step()
    start = example.SPACE.plain(example.SPACE.init())
    assert all(value != start[name] for name, value in tuner.hypers().items())
    plain = tuner.collapsed()
    fresh = resnet18(num_classes=10)
    assert type(plain) is type(fresh)
    fresh.load_state_dict(plain.state_dict(), strict=True)
    x, y = example.digits()
    tuner.problem = dataclasses.replace(tuner.problem, test=None)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(fresh.eval()(x[1000:1400]), y[1000:1400]).item()
    assert loss == pytest.approx(tuner.evaluate()["valid_loss"], rel=1e-4)


@pytest.mark.slow
def test_resnet18_learns_the_digits(tmp_path):
    plan = Alternation(steps=90, warmup=30, train_per_cycle=2, evaluate_every=1000)
    example_of_resnet().main(tmp_path / "run", plan, batch=32)
    record = Run(tmp_path / "run").records[-1]
    assert record["test_accuracy"] > 0.85


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_transformer_on_pythons_text(tmp_path, response):
    from tests.examples import transformer_text

    tuner = transformer_text.main(tmp_path / "run", PLAN, 20_000, response)
    run = Run(tmp_path / "run")
    losses = run.column("valid_loss")
    assert losses[-1] < losses[0] - 0.5
    assert set(run.records[-1]["hypers"]) == {"dropout", "decay"}
    start = transformer_text.SPACE.plain(transformer_text.SPACE.init())
    assert all(value != start[name] for name, value in tuner.hypers().items())
    tokens, vocabulary = transformer_text.text(20_000)
    fresh = transformer_text.LanguageModel(vocabulary)
    fresh.load_state_dict(tuner.collapsed().state_dict(), strict=True)
    assert fresh.head.weight is fresh.embed.weight
    test = transformer_text.windows(tokens[18_000:], 32, 2)
    with torch.no_grad():
        sums = [(transformer_text.valid_loss(fresh.eval(), b).item() * len(b), len(b)) for b in test.once()]
    assert sum(s for s, _ in sums) / sum(n for _, n in sums) == pytest.approx(tuner.evaluate()["test_loss"], rel=1e-4)


def test_ten_lines(tmp_path):
    from torch import nn

    from tests.examples.ten_lines import tune

    torch.manual_seed(0)
    x = torch.randn(600, 10)
    y = (x[:, 0] * x[:, 1] > 0).long()
    net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 2))
    values, plain = tune(net, (x[:200], y[:200]), (x[200:400], y[200:400]), tmp_path / "run")
    assert set(values) == {"dropout", "decay"}
    assert [type(m) for m in plain] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert plain[2].p == pytest.approx(values["dropout"])
    right = (plain.eval()(x[400:]).argmax(-1) == y[400:]).float().mean().item()
    assert right > 0.75
