"""squared_norm against the materialised weights, for every kind of layer, one λ and many."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, response_parameters  # noqa: E402
from hyperopt_hn.nn.conversion.penalty import squared_norm  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.3), Hyper("b", -0.4)])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 5)
        self.head = nn.Linear(5, 7)
        self.head.weight = self.table.weight

    def forward(self, tokens):
        return self.head(self.table(tokens))


MODELS = {
    "mlp": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
    "conv": lambda: nn.Sequential(nn.Conv1d(2, 4, 3, groups=2), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)),
    "lstm": lambda: nn.LSTM(3, 5, 2, bidirectional=True),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "cross": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=6),
    "tied": Tied,
    "transposed": lambda: nn.Sequential(nn.Linear(3, 4), nn.ConvTranspose1d(2, 2, 3)),
}


every_form = pytest.mark.parametrize("form", ["full", "lowrank", "gated"])


@every_form
@pytest.mark.parametrize("name", MODELS)
def test_equals_the_collapsed_models_norm(name, form):
    torch.manual_seed(0)
    model = convert(MODELS[name]().double(), SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0, 0.5)
    lams = torch.randn(3, 2).double()
    wanted = []
    for lam in lams:
        plain = collapse(model, lam)
        wanted.append(sum(p.square().sum() for p in plain.parameters() if p.dim() >= 2))
        with at(model, lam):
            assert torch.allclose(squared_norm(model), wanted[-1], rtol=1e-12)
    with at(model, lams):
        assert torch.allclose(squared_norm(model), torch.stack(wanted), rtol=1e-12)
    with at(model, lams[0], lams[0]):
        general = sum(
            p.square().sum() for n, p in model.named_parameters() if p.dim() >= 2 and ".response_" not in f".{n}"
        )
        assert torch.allclose(squared_norm(model), general, rtol=1e-12)


@every_form
def test_slopes_reach_every_part(form):
    model = convert(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double(), SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0, 0.5)
    lam = torch.tensor([[0.3, -0.2], [0.1, 0.5]]).double().requires_grad_()
    params = [lam, *(p for n, p in model.named_parameters() if "shift" not in n and "bias" not in n)]

    def total():
        with at(model, lam):
            return squared_norm(model).sum()

    grads = torch.autograd.grad(total(), params)
    for p, g in zip(params, grads, strict=True):
        step = torch.randn_like(p) * 1e-6
        with torch.no_grad():
            p += step
            up = total()
            p -= 2 * step
            down = total()
            p += step
        assert (up - down).item() == pytest.approx(2 * (g * step).sum().item(), rel=1e-5)


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match="nothing to penalise"):
        squared_norm(nn.LayerNorm(3))


@every_form
def test_in_float32_it_is_exact_to_a_millionth(form):
    torch.manual_seed(0)
    model = convert(nn.Sequential(nn.Linear(400, 600), nn.Conv2d(30, 40, 5), nn.LSTM(80, 90)), SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0, 0.05)
    lams = torch.randn(3, 2)
    with at(model, lams):
        low = squared_norm(model)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(squared_norm(model), low)
    with at(model.double(), lams.double()):
        torch.testing.assert_close(low.double(), squared_norm(model), rtol=1e-6, atol=0.0)


def test_at_the_centre_it_costs_one_pass_and_has_a_second_derivative():
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    plain = [p.detach().clone().requires_grad_() for p in net.parameters() if p.dim() > 1]
    model, lam = convert(net, SPACE), torch.zeros(2).double()
    with at(model, lam, lam), FlopCounterMode(display=False) as counter:
        norm = squared_norm(model)
    assert counter.get_total_flops() == 0  # no product of matrices
    weights = [model[0].weight, model[1].weight]
    torch.testing.assert_close(norm, sum(p.square().sum() for p in plain))
    slopes = torch.autograd.grad(norm, weights, create_graph=True)
    second = torch.autograd.grad(sum((g**3).sum() for g in slopes), weights)
    for w, g, s in zip(plain, slopes, second, strict=True):
        torch.testing.assert_close(g, 2 * w)
        torch.testing.assert_close(s, 3 * (2 * w) ** 2 * 2)


def test_two_models_in_one_penalty_keep_their_own_lambdas():
    first, second = (convert(nn.Linear(3, 4).double(), SPACE, form="gated") for _ in range(2))
    both = nn.ModuleList([first, second])
    with torch.no_grad():
        for p in response_parameters(both):
            p.normal_()
    a, b = torch.randn(2, 2).double()
    with at(first, a), at(second, b):
        total = squared_norm(both)
    parts = [collapse(m, lam).weight.square().sum() for m, lam in ((first, a), (second, b))]
    torch.testing.assert_close(total, sum(parts))
