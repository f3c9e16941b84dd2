"""Response gain: the differences are those of the collapsed models, and measuring leaves no trace."""

from __future__ import annotations

import copy
import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    Batches,
    Hypers,
    Optimizers,
    Split,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    collapse,
    convert,
    response_parameters,
)
from hyperopt_hn.nn.diagnosis.gain import FEWEST, ResponseGain  # noqa: E402

SPACE = HyperSpace([Hyper("decay", 0.01, 1e-4, 1.0, log=True, shared=True), Hyper("rate", 0.2, 0.0, 0.9)])


def data(seed, count=80):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return x, x.sum(1, keepdim=True)


def error(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def build(config=None, dropout=True):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.2 * dropout), nn.Linear(6, 1)
    ).double()
    model = convert(net, SPACE, dropout={"*": "rate"} if dropout else None)
    hypers = Hypers(SPACE, dtype=torch.float64)
    problem = TorchProblem(error_with_decay, error, Batches.of(data(1), 20, 3), Batches.of(data(2), 20, 4))
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.05), torch.optim.Adam([hypers.lam], 0.05))
    return TorchTuner(model, hypers, problem, optimizers, Split(every=1), config or TunerConfig(seed=5, gain=0.5))


def error_with_decay(model, batch, h):
    return error(model, batch) + 0.0 * h["decay"]


def stirred(tuner):
    torch.manual_seed(9)
    with torch.no_grad():
        for p in response_parameters(tuner.losses.bare):
            p.add_(0.3 * torch.randn_like(p))
    return tuner


def test_pairs_are_the_differences_of_collapsed_models():
    """Without dropout the two losses are those of the plain networks at λ̂ and at λ̂ ± 1, in training mode."""
    tuner = stirred(build(dropout=False))
    gain = ResponseGain(("decay", "rate"), 1.0, seed=0)
    gain.measure(tuner.losses, tuner.response, tuner.problem.train, 20)
    found = gain.state()["pairs"]
    lam = tuner.losses.hypers.lam.detach()
    batches = list(tuner.problem.train.once())
    plain = collapse(tuner.losses.bare, lam, lam).train()
    for j, name in enumerate(("decay", "rate")):
        assert len(found[name]) == 15
        for turn, difference in enumerate(found[name]):
            moved = lam.clone()
            moved[j] += 1.0 if turn % 2 else -1.0
            batch = batches[turn % len(batches)]
            h = tuner.response.input(tuner.losses, moved)
            theirs = collapse(tuner.losses.bare, moved, h=h).train()
            assert difference == pytest.approx(float((error(plain, batch) - error(theirs, batch)).detach()), abs=1e-10)


def test_the_same_masks_serve_both_losses():
    """A response that is zero changes nothing, so that with dropout, too, every difference is exactly zero."""
    tuner = build()
    gain = ResponseGain(("decay", "rate"), 1.0, seed=0)
    gain.measure(tuner.losses, tuner.response, tuner.problem.train, 20)
    assert {name: set(pairs) for name, pairs in gain.state()["pairs"].items()} == {"decay": {0.0}, "rate": {0.0}}


def test_t_is_the_mean_over_its_standard_error():
    gain = ResponseGain(("a", "b"), 1.0, seed=0)
    values = [1.0, 2.0, 4.0, 5.0, 7.0, 8.0]
    gain.load_state({"pairs": {"a": values, "b": values[: FEWEST - 1]}, "done": 0, "spent": 0.0})
    mean = sum(values) / 6
    error = math.sqrt(sum((v - mean) ** 2 for v in values) / 5 / 6)
    assert gain.t() == {"a": pytest.approx(mean / error)}


def test_measuring_leaves_no_trace():
    """Weights, λ̂, statistics, batches and random streams: a run that is measured is the run that is not."""

    def run(config):
        tuner = build(config)
        torch.manual_seed(3)
        for _ in range(6):
            tuner.train_step()
            tuner.evaluate()
        tuner.tune_step()
        return tuner, tuner.train_step(), torch.rand(3).tolist()

    one, other = run(TunerConfig(seed=5, gain=0.5)), run(TunerConfig(seed=5))
    assert one[1:] == other[1:] and one[0].hypers() == other[0].hypers()
    assert sum(map(len, one[0].state()["gain"]["pairs"].values())) > 0
    for a, b in zip(*(r[0].losses.bare.state_dict().values() for r in (one, other)), strict=True):
        assert torch.equal(a, b)


def test_the_work_is_the_share_that_was_asked_for():
    tuner = build()
    gain = ResponseGain(("decay", "rate"), 0.1, seed=0)
    for steps in range(0, 201, 20):
        gain.measure(tuner.losses, tuner.response, tuner.problem.train, steps)
    assert sum(map(len, gain.state()["pairs"].values())) == 30  # 0.1 · 200 steps of work, 2/3 of a step a pair


def test_resumed_it_goes_on_to_the_bit():
    tuner = build()
    for _ in range(20):
        tuner.train_step()
    tuner.evaluate()
    state = copy.deepcopy(tuner.state())
    tuner.train_step(), tuner.tune_step()
    wanted = tuner.evaluate()
    other = build()
    other.load_state(state)
    other.train_step(), other.tune_step()
    assert other.evaluate() == wanted and set(wanted["gain"]) == {"decay", "rate"}


def test_a_gated_hyperparameter_holds_while_its_gain_is_small():
    tuner = build(TunerConfig(seed=5, gain=0.5, gate=True))
    tuner.train_step()
    state = {"pairs": {"decay": [-1.0, 1.0] * 5, "rate": [1.0, 2.0] * 5}, "done": 20, "spent": 1e9}
    tuner._gain.load_state(state)
    before = tuner.hypers()
    tuner.tune_step()
    after = tuner.hypers()
    assert after["decay"] == before["decay"] and after["rate"] != before["rate"]


def test_a_gate_without_a_gain_is_refused():
    with pytest.raises(UserError, match=r"gain=0\.1"):
        TunerConfig(gate=True)
