"""What is not finite is named: the module of whose output it first was a part, the parameter whose gradient it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, NonFiniteError  # noqa: E402
from hyperopt_hn.nn import Batches, Hypers, Optimizers, TorchProblem, TorchTuner, convert  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])


class Logarithm(nn.Module):
    def forward(self, x):
        return (x - x.detach() - 1.0).log()  # of -1


class Root(nn.Module):
    """A finite value, 0, with an infinite derivative: times 0 it is nan."""

    def forward(self, x):
        return x + (0 * x).sqrt()


def tuner_of(net, response, x=None):
    torch.manual_seed(0)
    model, hypers = convert(net, SPACE, gain="stn"), Hypers(SPACE)
    data = torch.randn(8, 4) if x is None else x, torch.arange(8) % 2
    loss = lambda m, b, h=None: nn.functional.cross_entropy(m(b[0]), b[1])  # noqa: E731
    problem = TorchProblem(loss, loss, Batches.of(data, 8), Batches.of(data, 8))
    return TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)), response)


def refused(tuner, match):
    before = {n: p.detach().clone() for n, p in tuner.losses.bare.named_parameters()}
    with pytest.raises(NonFiniteError, match=match):
        tuner.train_step()
    assert all(torch.equal(before[n], p) for n, p in tuner.losses.bare.named_parameters())


@pytest.mark.parametrize("response", ["stn", "delta", "split"])
def test_the_first_module_is_named(response):
    net = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), Logarithm()), nn.Linear(4, 2))
    refused(
        tuner_of(net, response), r"train_loss became nan at train step 1 .*first in the output of '1\.1' \(Logarithm"
    )


def test_a_batch_that_is_not_finite_is_named():
    x = torch.randn(8, 4)
    x[3, 2] = float("inf")
    refused(
        tuner_of(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), "stn", x * 0), "first in the batch itself"
    )


@pytest.mark.parametrize("response", ["stn", "delta", "split"])
def test_a_gradient_is_named_by_the_parameter_before_its_fault(response):
    """The loss is finite; the nearest parameter in front of the root is the bias of layer 1."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), Root(), nn.Linear(4, 2))
    refused(tuner_of(net, response), r"gradient of train_loss in '1\.\w+' .* became nan .* while the loss is finite")


class BadInEvaluation(nn.Module):
    def forward(self, x):
        return x if self.training else (x - x.detach() - 1.0).log()


@pytest.mark.parametrize("response", ["stn", "delta", "split"])
def test_the_tune_losss_first_module_is_named(response):
    net = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), BadInEvaluation()), nn.Linear(4, 2))
    tuner = tuner_of(net, response)
    tuner.optimizers = replace(tuner.optimizers, lam=torch.optim.SGD([tuner.losses.hypers.lam], 0.1))
    tuner.train_step()
    before = tuner.losses.hypers.lam.detach().clone()
    where = r"tune_loss became nan at tune step 1 .*first in the output of '1\.1' \(BadInEvaluation"
    with pytest.raises(NonFiniteError, match=where):
        tuner.tune_step()
    assert torch.equal(before, tuner.losses.hypers.lam)
