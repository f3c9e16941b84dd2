"""form="generic": whatever a model computes, all its parameters respond to one λ for a batch."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import SelfTuner, Tuning, at, collapse, convert, report, response_parameters  # noqa: E402

SPACE = HyperSpace([Hyper("scale", 0.5, 0.1, 0.9), Hyper("other", 0.1, 0.0, 0.9)])


class Odd(nn.Module):
    """Recurrent, attentive, spectrally normalised, with experts chosen by the data: nothing that a layer serves."""

    def __init__(self):
        super().__init__()
        self.recurrent = nn.GRU(4, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.experts = nn.Parameter(0.3 * torch.randn(3, 12, 12))
        self.out = nn.utils.parametrizations.spectral_norm(nn.Linear(12, 2))

    def forward(self, x):
        h = self.recurrent(x)[0]
        h = self.attention(h, h, h)[0].mean(1)
        chosen = h.detach()[:, :3].argmax(1)
        return self.out(torch.bmm(h[:, None], self.experts[chosen])[:, 0])


def test_every_parameter_responds_and_collapse_is_exact():
    torch.manual_seed(0)
    plain = Odd().double().eval()
    model = convert(copy.deepcopy(plain), SPACE, form="generic")
    assert report(model).share == 1.0
    for p in response_parameters(model):
        nn.init.normal_(p, 0.0, 0.1)
    x, lam, centre = torch.randn(5, 3, 4).double(), torch.randn(2).double().requires_grad_(), torch.zeros(2).double()
    with at(model, centre, centre):
        assert torch.allclose(model(x), plain(x), atol=1e-12)
    with at(model, lam, centre):
        here = model(x)
    here.square().sum().backward()
    twin = collapse(model, lam.detach(), centre)
    assert torch.allclose(here, twin(x), atol=1e-12) and not torch.allclose(here, plain(x), atol=1e-2)
    assert [type(m) for m in twin.modules()] == [type(m) for m in plain.modules()]
    plain.load_state_dict(twin.state_dict(), strict=True)
    assert torch.allclose(here, plain(x), atol=1e-12)
    assert bool((lam.grad.abs() > 0).all())
    still = [n for n, p in model.named_parameters() if "response_" in n and (p.grad is None or not p.grad.any())]
    assert not still or all("original" in n for n in still), still  # a norm takes back what scales it as a whole


def test_a_lambda_for_each_example_is_refused_in_one_line():
    model = convert(Odd(), SPACE, form="generic")
    with pytest.raises(UserError, match=r"one λ for a batch.*one_draw=True"), at(model, torch.zeros(5, 2)):
        model(torch.randn(5, 3, 4))


def test_a_self_tuner_trains_and_tunes_with_it():
    torch.manual_seed(0)
    x, y = torch.randn(60, 3, 4), torch.randn(60, 2)
    tuner = SelfTuner(
        Odd(),
        SPACE,
        train_loss=lambda m, b, h: (m(b[0]) - b[1]).square().mean(1) * h["scale"] + h["other"],
        valid_loss=lambda m, b: (m(b[0]) - b[1]).square().mean(1),
        tuning=Tuning(form="generic"),
    )
    result = tuner.fit((x, y), (x, y), steps=12, batch_size=20, quiet=True)
    moved = {name for name, p in tuner.model.named_parameters() if "response_of" in name and p.any()}
    assert {"experts", "recurrent.weight_hh_l1_reverse", "attention.in_proj_weight"} <= {
        name.replace("response_of_", "") for name in moved
    }
    assert 0.1 < result.best_hypers["scale"] < 0.9


class Tempered(nn.Module):
    """Parameters that are single numbers."""

    def __init__(self):
        super().__init__()
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3), dim=None)
        self.temperature = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.linear(x) / self.temperature


def test_single_numbers_respond():
    torch.manual_seed(0)
    plain = Tempered().double().eval()
    model = convert(copy.deepcopy(plain), SPACE, form="generic")
    h = torch.tensor([0.3, -0.2]).double()
    with torch.no_grad():
        model.response_of_temperature.copy_(torch.tensor([[2.0, 1.0]]))
        model.linear.parametrizations.weight.response_of_original0.copy_(torch.tensor([[-1.0, 3.0]]))
        plain.temperature += 2.0 * 0.3 - 1.0 * 0.2
        plain.linear.parametrizations.weight.original0 += -1.0 * 0.3 - 3.0 * 0.2
    x = torch.randn(5, 4).double()
    with at(model, h, torch.zeros(2).double()):
        assert torch.allclose(model(x), plain(x), rtol=1e-12)
