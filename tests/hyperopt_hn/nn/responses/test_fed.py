"""A trained response is never fed what it was not trained on: one line says what to give."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    STN,
    Batches,
    Delta,
    Hypers,
    Optimizers,
    Split,
    TorchProblem,
    TorchTuner,
    at,
    collapse,
    convert,
    response_parameters,
)

SPACE = HyperSpace([Hyper("scale", 0.3, 0.1, 0.9), Hyper("decay", 1e-3, 1e-6, 1e-1, log=True)])
X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def trained(response):
    torch.manual_seed(0)
    model = convert(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)), SPACE)
    hypers = Hypers(SPACE)
    data = Batches.of((X, X), 3, 0)
    problem = TorchProblem(
        lambda m, b, h: m(b[0]).square().mean(1) * h["scale"], lambda m, b: m(b[0]).square().mean(1), data, data
    )
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.1), torch.optim.Adam([hypers.lam], 0.1))
    tuner = TorchTuner(model, hypers, problem, optimizers, response)
    tuner.train_step()
    for p in response_parameters(model):
        nn.init.normal_(p, 0.0, 0.3)
    return tuner, model, hypers.lam.detach().clone()


@pytest.mark.parametrize("response", [Delta(), Split(position=False), STN(centred=True)])
def test_one_that_was_trained_around_its_centre_wants_it(response):
    tuner, model, centre = trained(response)
    lam = centre + torch.tensor([0.4, -0.3])
    with pytest.raises(UserError, match="give the centre too"):
        collapse(model, lam)
    with pytest.raises(UserError, match="give the centre too"), at(model, lam):
        pass
    wanted = tuner.collapsed(SPACE.values(lam, torch))(X)
    assert torch.allclose(collapse(model, lam, centre)(X), wanted)
    with at(model, lam, centre):
        assert torch.allclose(model(X), wanted, atol=1e-6)
    assert torch.equal(collapse(model, centre, centre)(X), tuner.collapsed()(X))


@pytest.mark.parametrize("response", [Split(), STN(natural=True), Delta(position=True)])
def test_what_the_tuner_alone_can_make_is_its_own(response):
    tuner, model, centre = trained(response)
    lam = centre + torch.tensor([0.4, -0.3])
    for given in ((lam,), (lam, centre)):
        with pytest.raises(UserError, match=r"tuner\.collapsed"):
            collapse(model, *given)
    h = tuner.response.input(tuner.losses, lam)
    wanted = tuner.collapsed(SPACE.values(lam, torch))(X)
    assert torch.allclose(collapse(model, lam, h=h)(X), wanted, atol=1e-5)


def test_one_that_was_trained_on_lambda_itself_wants_no_centre():
    tuner, model, centre = trained(STN())
    with pytest.raises(UserError, match="leave the centre out"):
        collapse(model, centre + 1, centre)
    assert torch.equal(collapse(model, centre)(X), tuner.collapsed()(X))
    with at(model, centre, centre):
        general = model(X)
    assert not torch.allclose(general, tuner.collapsed()(X), atol=1e-3), "the centre alone: no response"


def test_before_any_tuner_both_ways_are_open():
    model = convert(nn.Linear(4, 2), SPACE)
    lam = torch.zeros(2)
    assert torch.equal(collapse(model, lam)(X), collapse(model, lam, lam)(X))
