"""A model that differentiates its outputs in its inputs: λ is tuned through that derivative as well."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, response_parameters  # noqa: E402
from hyperopt_hn.nn.layers.stillness import no_way_back  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9), Hyper("b", 0.1, 0.0, 0.9)])


class Forces(nn.Module):
    """The derivative of an energy in the places, as models of molecules put out."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Conv1d(2, 4, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 5), nn.Tanh())
        self.out = nn.Linear(5, 1)

    def forward(self, x):
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            return torch.autograd.grad(self.out(self.energy(x)).sum(), x, create_graph=True)[0]


@pytest.mark.parametrize("form", ["full", "lowrank", "gated", "generic"])
def test_the_gradient_in_lambda_of_a_derivative_is_the_difference_of_collapsed_models(form):
    torch.manual_seed(0)
    model = convert(Forces().double(), SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0.0, 0.5)
    x, lam = torch.randn(6, 2, 3).double(), torch.zeros(2).double().requires_grad_()
    centre = lam.detach()
    for p in model.parameters():
        p.requires_grad_(False)
    with at(model, lam, centre):
        model(x).square().mean().backward()
    for j in range(2):
        step = torch.zeros(2).double()
        step[j] = 1e-5
        up, down = (collapse(copy.deepcopy(model), centre + s, h=s)(x).square().mean().detach() for s in (step, -step))
        assert float(lam.grad[j]) == pytest.approx(float(up - down) / 2e-5, rel=1e-6, abs=1e-9), form


def test_of_a_first_derivative_nothing_flows_back():
    x = torch.ones(3, requires_grad=True)
    factor = torch.zeros(3, requires_grad=True)
    (no_way_back(x) * factor + 2 * x).sum().backward()
    assert torch.equal(x.grad, torch.full((3,), 2.0)) and torch.equal(factor.grad, torch.ones(3))
    first = torch.autograd.grad((no_way_back(x) * factor).sum(), x, create_graph=True)[0]
    assert torch.equal(torch.autograd.grad(first.sum(), factor)[0], torch.ones(3))
