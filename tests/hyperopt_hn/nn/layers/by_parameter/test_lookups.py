"""Rules for a table's own gradient leave the gradient in λ alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, response_parameters  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9), Hyper("b", 0.1, 0.0, 0.9)])
TOKENS = torch.tensor([[1, 1, 1], [0, 2, 1], [3, 0, 0]])


@pytest.mark.parametrize("rules", [{"padding_idx": 0}, {"scale_grad_by_freq": True}, {"sparse": True}, {}], ids=str)
@pytest.mark.parametrize("form", ["full", "lowrank", "gated", "generic"])
def test_the_gradient_in_lambda_is_the_difference_of_collapsed_models(form, rules):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Embedding(4, 3, **rules), nn.Tanh(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        plain[0].weight[0] = torch.randn(3)  # a padding row that is not zero, as a pretrained one may be
    model = convert(plain, SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0.0, 0.5)
    centre, lam = torch.zeros(2).double(), torch.tensor([0.2, -0.1]).double().requires_grad_()
    with at(model, lam, centre):
        model(TOKENS).square().mean().backward()
    for j in range(2):
        step = torch.zeros(2).double()
        step[j] = 1e-5
        here = lam.detach()
        up, down = (collapse(model, here + s, centre)(TOKENS).square().mean().detach() for s in (step, -step))
        assert float(lam.grad[j]) == pytest.approx(float(up - down) / 2e-5, rel=1e-6)


def test_the_trained_table_keeps_its_rules():
    """Rows that occur k times get a k-th of their gradient, the padding row none."""
    torch.manual_seed(0)
    table = nn.Embedding(4, 3, padding_idx=0, scale_grad_by_freq=True).double()
    model = convert(nn.Sequential(table, nn.Linear(3, 2).double()), SPACE, form="generic")
    lam = torch.tensor([0.2, -0.1]).double()
    with at(model, lam):
        model(TOKENS)[..., 0].sum().backward()
    column = model[1].weight[0].detach()
    assert torch.equal(table.weight.grad[0], torch.zeros(3).double())
    assert all(torch.allclose(table.weight.grad[k], column) for k in (1, 2, 3))
