"""Any module's own parameters respond: row by row equal to the plain module with its parameters at each row's λ."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, report, response_parameters  # noqa: E402
from hyperopt_hn.nn.responses.delta import linearised  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9), Hyper("b", 1e-3, 1e-6, 1e-1, log=True)])
B = 3


class Twice(nn.Linear):
    """A subclass with code of its own."""

    def forward(self, x):
        return 2 * super().forward(x).tanh()


class Turned(nn.Module):
    """Conv1D of transformers: weights (in, out), one product over flattened rows."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(5))

    def forward(self, x):
        y = torch.addmm(self.bias, x.reshape(-1, 4), self.weight)
        return (y @ self.weight.t()).view(*x.shape[:-1], 4)


class Lettered(Turned):
    """Products by letters, the parameter in either place, its first axis summed over or kept."""

    def forward(self, x):
        y = torch.einsum("bti,ij->btj", x, self.weight).tanh() + self.bias
        return torch.einsum("ij,btj->bti", self.weight, y)


class Bare(nn.Module):
    """Parameters without a layer: a class token, positions, a scale, an offset."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.positions = nn.Parameter(torch.randn(1, 9, 4))
        self.scale, self.offset = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions[:, : x.shape[1] + 1]
        return (1 + self.scale) * x.tanh() - self.offset.view(1, 1, -1)


class Root(nn.Module):
    """RMS normalisation by hand, with a cast; a table and a head that share their weights, the head a subclass."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4))
        self.table, self.head = nn.Embedding(7, 4), Twice(4, 7)
        self.head.weight = self.table.weight

    def forward(self, x):
        h = self.table(x)
        h = self.weight.to(h.dtype) * h * torch.rsqrt(h.square().mean(-1, keepdim=True))
        return self.head(h) + F.linear(h, self.table.weight)


class Recurrent(nn.Module):
    """A recurrent module of torch's: its outputs, and all of its last state added to them."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        first = self.inner.batch_first
        out, state = self.inner(x if first else x.transpose(0, 1))
        states = state if isinstance(state, tuple) else (state,)
        last = sum(s.sum((0, 2)) for s in states)
        return (out if first else out.transpose(0, 1)) + last[:, None, None]


class Cells(nn.Module):
    """A cell of each kind, one after the other."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.GRUCell(4, 5), nn.RNNCell(5, 3), nn.LSTMCell(3, 4, bias=False)

    def forward(self, x):
        h = self.a(x, self.a(x))
        h = self.b(h, self.b(h.tanh()))
        h, c = self.c(h)
        h, c = self.c(h[:, :3], (h, c))
        return h + c


WORDS = torch.tensor([[1, 2, 5, 0], [0, 3, 3, 4], [6, 2, 1, 6]])
CASES = {
    "subclass": (lambda: nn.Sequential(Twice(4, 5), Twice(5, 2)), (B, 4)),
    "turned": (lambda: nn.Sequential(Turned(), nn.Tanh(), Turned()), (B, 4)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.Tanh()), (B, 4, 5, 5)),
    "instance norm": (lambda: nn.Sequential(nn.InstanceNorm1d(4, affine=True), nn.Tanh()), (B, 4, 5)),
    "rms norm": (lambda: nn.Sequential(nn.RMSNorm(4), nn.Tanh()), (B, 5, 4)),
    "bag": (lambda: nn.Sequential(nn.EmbeddingBag(7, 4), nn.Tanh()), WORDS),
    "einsum": (Lettered, (B, 6, 4)),
    "bare": (Bare, (B, 6, 4)),
    "tied": (Root, WORDS),
    "prelu": (lambda: nn.Sequential(nn.PReLU(4), nn.Tanh(), nn.PReLU()), (B, 4, 5)),
    "weight norm": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 5, 2))), (B, 4, 5)),
    "gru": (lambda: Recurrent(nn.GRU(4, 3, 2, bidirectional=True, batch_first=True)), (B, 5, 4)),
    "gru, time first": (lambda: Recurrent(nn.GRU(4, 3, bias=False)), (B, 5, 4)),
    "rnn": (lambda: Recurrent(nn.RNN(4, 3, 2, nonlinearity="relu", dropout=0.0)), (B, 5, 4)),
    "projected lstm": (lambda: Recurrent(nn.LSTM(4, 5, 2, proj_size=3, bidirectional=True)), (B, 5, 4)),
    "cells": (Cells, (B, 4)),
    "norm without offset": (lambda: nn.Sequential(nn.LayerNorm(4, bias=False), Twice(4, 3)), (B, 4)),
}


def made(name, spread=0.2):
    torch.manual_seed(0)
    make, x = CASES[name]
    plain = make().double()
    with torch.no_grad():
        for p in plain.parameters():
            p.copy_(0.5 * torch.randn_like(p))
    model = convert(copy.deepcopy(plain), SPACE, form="lowrank")
    for p in response_parameters(model):
        nn.init.normal_(p, 0.0, spread)
    return plain, model, torch.randn(x).double() if isinstance(x, tuple) else x


@pytest.mark.parametrize("name", CASES)
def test_every_example_has_the_parameters_at_its_own_lambda(name):
    plain, model, x = made(name)
    lams, centre = 0.7 * torch.randn(B, 2).double(), torch.zeros(2).double()
    assert report(model).share == 1.0
    with at(model, lams, centre):
        rows = model(x)
    with at(model, lams[1], centre):
        one = model(x)
    moved = 0.0
    for i in range(B):
        twin = collapse(model, lams[i], centre)
        assert [type(m) for m in twin.modules()] == [type(m) for m in plain.modules()]
        fresh = copy.deepcopy(plain)
        fresh.load_state_dict(twin.state_dict(), strict=True)
        assert torch.allclose(rows[i], fresh(x)[i], atol=1e-10, rtol=1e-10)
        moved = max(moved, (fresh(x) - plain(x)).detach().abs().max().item())
        if i == 1:
            assert torch.allclose(one, fresh(x), atol=1e-10, rtol=1e-10)
    assert moved > 0.01
    with at(model, centre, centre):
        assert torch.equal(model(x), plain(x))


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_every_response_and_lambda(name):
    _, model, x = made(name)
    lams = torch.randn(B, 2).double().requires_grad_()
    with at(model, lams, torch.zeros(2).double()):
        model(x).square().sum().backward()
    assert bool((lams.grad.abs().sum(1) > 0).all())
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in response_parameters(model))


@pytest.mark.parametrize("name", [name for name in CASES if name != "weight norm"])
def test_the_linearised_pass_is_the_derivative(name):
    _, model, x = made(name)
    step, centre = 1e-6, torch.randn(2).double()
    direction = torch.randn(B, 2).double()
    with linearised(model, centre + direction, centre):
        found = model(x)
    with at(model, centre + step * direction, centre):
        ahead = model(x)
    with at(model, centre - step * direction, centre):
        behind = model(x)
    with at(model, centre, centre):
        here = model(x)
    assert torch.allclose(found, here + (ahead - behind) / (2 * step), atol=1e-6)


def test_the_module_stays_what_it_is():
    _, model, x = made("subclass")
    assert isinstance(model[0], Twice) and isinstance(model[0], nn.Linear) and model[0].in_features == 4
    saved = io.BytesIO()
    torch.save(model, saved)
    saved.seek(0)
    lams = torch.randn(B, 2).double()
    for other in (copy.deepcopy(model), torch.load(saved, weights_only=False)):
        with at(model, lams), at(other, lams):
            assert torch.equal(model(x), other(x))
        assert isinstance(other[0], Twice) and other[0].weight is not model[0].weight


def test_what_is_frozen_stays():
    net = nn.Sequential(Twice(4, 5), Twice(5, 2))
    net[0].weight.requires_grad_(False)
    model = convert(net, SPACE)
    names = [name for name, _ in model.named_parameters() if "response_" in name]
    assert names == ["0.response_of_bias", "1.response_of_weight", "1.response_of_bias"]
    nn.init.ones_(model[0].response_of_bias)
    twin = collapse(model, torch.ones(2))
    assert torch.equal(twin[0].weight, net[0].weight) and not torch.equal(twin[0].bias, net[0].bias)
    assert not twin[0].weight.requires_grad and twin[0].bias.requires_grad


@pytest.mark.parametrize("form", ["full", "lowrank", "gated", "generic"])
def test_a_parameter_under_two_names_of_a_layer_stays_one(form):
    torch.manual_seed(0)
    plain = nn.LSTM(4, 4, 2).double()
    plain.weight_hh_l1 = plain.weight_hh_l0
    model = convert(nn.Sequential(copy.deepcopy(plain)), SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0.0, 0.3)
    h, x = torch.tensor([0.5, -0.4]).double(), torch.randn(3, B, 4).double()
    twin = collapse(model, h, torch.zeros_like(h))
    assert twin[0].weight_hh_l1 is twin[0].weight_hh_l0 and not torch.equal(twin[0].weight_hh_l0, plain.weight_hh_l0)
    with at(model, h, torch.zeros_like(h)):
        assert torch.allclose(model(x)[0], twin(x)[0], atol=1e-12)
