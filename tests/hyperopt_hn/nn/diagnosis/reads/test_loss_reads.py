"""Penalties that a loss computes from parameters themselves are told: after convert they are others than |w(λ)|²."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import Batches, Hypers, Optimizers, TorchProblem, TorchTuner, at, convert, squared_norm  # noqa: E402
from hyperopt_hn.nn.diagnosis.reads.loss_reads import PenaltyWarning  # noqa: E402

SPACE = HyperSpace([Hyper("decay", 1e-2, 1e-5, 1.0, log=True, shared=True), Hyper("a", 0.1, 0.0, 0.9)])


def step(penalty, response="delta", form="full"):
    """A train step under this penalty; the warnings about it."""
    torch.manual_seed(0)
    model, hypers = (
        convert(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), SPACE, gain="stn", form=form),
        Hypers(SPACE, one_draw=form == "generic"),
    )
    data = torch.randn(8, 4), torch.arange(8) % 2
    problem = TorchProblem(
        lambda m, b, h: cross_entropy(m(b[0]), b[1]) + (h["decay"] * penalty(m)).mean(),
        lambda m, b: cross_entropy(m(b[0]), b[1]),
        Batches.of(data, 8),
        Batches.of(data, 8),
    )
    tuner = TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)), response)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        tuner.train_step()
        tuner.train_step()
    return [str(w.message) for w in seen if issubclass(w.category, PenaltyWarning)]


@pytest.mark.parametrize("response", ["stn", "delta", "split"])
def test_all_parameters(response):
    (said,) = step(lambda m: sum(p.pow(2).sum() for p in m.parameters()), response)
    assert "'0.weight', '0.bias', '2.weight' and 1 more" in said and "the response's own" in said
    assert "squared_norm(model)" in said


def test_weights_alone():
    (said,) = step(lambda m: m[0].weight.square().sum() + (m[2].weight ** 2).sum())
    assert "'0.weight', '2.weight' itself" in said and "the response's own" not in said


@pytest.mark.parametrize(
    "fine",
    [squared_norm, lambda m: squared_norm(m[0]), lambda m: 1e-3 * len(list(m.parameters())) * m[0].weight.shape[0]],
)
@pytest.mark.parametrize("response", ["stn", "delta", "split"])
def test_what_answers_to_lambda_or_reads_no_numbers_is_fine(fine, response):
    assert step(fine, response) == []


@pytest.mark.parametrize("response", ["stn", "split"])
def test_weights_that_respond_wherever_they_are_read_are_fine(response):
    assert step(lambda m: (torch.ones(5, 4) * m[0].weight.square()).sum(), response, "generic") == []
    (said,) = step(lambda m: sum(p.pow(2).sum() for p in m.parameters()), response, "generic")
    assert "response_of_weight" in said and "the response's own" in said


def test_watching_a_weight_without_a_gradient_is_fine():
    def penalty(model):
        with torch.no_grad():
            model.last = float(model[0].weight.norm())
        return squared_norm(model)

    assert step(penalty) == []


def test_the_difference_that_is_warned_of():
    """At λ = λ̂ + 1 the usual snippet is off |w(λ)|² by what the response adds, and by the response's own squares."""
    model = convert(nn.Sequential(nn.Linear(3, 2, bias=False)), SPACE, gain="stn").double()
    lam, layer = torch.tensor([1.0, 0.5]).double(), model[0]
    with at(model, lam):
        right = squared_norm(model)
    moved = layer.weight + torch.diag(layer.response_scale @ lam) @ layer.response_weight
    assert right.item() == pytest.approx(moved.square().sum().item(), rel=1e-9)
    assert sum(p.square().sum() for p in model.parameters()).item() > 1.1 * right.item()
