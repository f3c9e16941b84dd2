"""A weight that is standardised before it is read answers by its gain, row by row."""

from __future__ import annotations

import copy
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper  # noqa: E402
from hyperopt_hn.nn import SelfTuner, at, collapse, report, response_parameters  # noqa: E402
from hyperopt_hn.nn.responses.delta import linearised  # noqa: E402

HYPERS = [Hyper("scale", 0.5, 0.1, 0.9), Hyper("other", 0.1, 0.0, 0.8)]
B = 3


class Standard(nn.Conv2d):
    """A convolution of an NFNet: its weight standardised row by row, times a gain."""

    def __init__(self, *args):
        super().__init__(*args)
        self.gain, self.factor = nn.Parameter(torch.rand(self.out_channels, 1, 1, 1) + 0.5), 0.7

    def forward(self, x):
        rows = self.weight.reshape(1, self.out_channels, -1)
        gain = (self.gain * self.factor).view(-1)
        weight = F.batch_norm(rows, None, None, weight=gain, training=True, momentum=0.0, eps=1e-5)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias)


class Ungained(Standard):
    """The same without the gain in its product: nothing carries a response of the weight."""

    def forward(self, x):
        rows = self.weight.reshape(1, self.out_channels, -1)
        weight = F.batch_norm(rows, None, None, training=True, momentum=0.0, eps=1e-5)
        return F.conv2d(x, weight.reshape_as(self.weight), self.bias) * self.gain.view(1, -1, 1, 1)


def stepped(kind, response):
    torch.manual_seed(0)
    plain = nn.Sequential(kind(3, 5, 2), nn.Tanh(), kind(5, 2, 2)).double()
    tuner = SelfTuner(
        copy.deepcopy(plain),
        HYPERS,
        train_loss=lambda m, b, h: m(b).square().mean((1, 2, 3)) * h["scale"] + h["other"],
        valid_loss=lambda m, b: m(b).square().mean((1, 2, 3)),
        response=response,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            tuner.train_step(torch.randn(B, 3, 4, 4).double())
            tuner.tune_step(torch.randn(B, 3, 4, 4).double())
    for p in response_parameters(tuner.model):
        if p.requires_grad:
            nn.init.normal_(p, 0.0, 0.2)
    return tuner, plain, [str(w.message) for w in caught]


@pytest.mark.parametrize("response", ["split", "stn", "delta"])
def test_its_gain_answers_for_it_in_every_row(response):
    tuner, plain, said = stepped(Standard, response)
    assert not said and report(tuner.model).share == 1.0
    model, x = tuner.model.eval(), torch.randn(B, 3, 4, 4).double()
    lams = 0.7 * torch.randn(B, 2).double()
    with at(model, lams, h=lams):
        rows = model(x)
    for i in range(B):
        fresh = copy.deepcopy(plain)
        fresh.load_state_dict(collapse(model, lams[i], h=lams[i]).state_dict(), strict=True)
        assert torch.equal(fresh[0].weight, model[0].weight) and not torch.equal(fresh[0].gain, model[0].gain)
        assert torch.allclose(rows[i], fresh(x)[i], atol=1e-10, rtol=1e-10)
    assert (rows - rows.roll(1, 0)).abs().max() > 0.01


def test_the_linearised_pass_is_the_derivative():
    tuner, _, _ = stepped(Standard, "delta")
    model, x = tuner.model.eval(), torch.randn(B, 3, 4, 4).double()
    step, centre, direction = 1e-6, torch.zeros(2).double(), torch.randn(B, 2).double()
    with linearised(model, centre + direction, centre):
        found = model(x)
    with at(model, centre + step * direction, centre):
        ahead = model(x)
    with at(model, centre - step * direction, centre):
        behind = model(x)
    with at(model, centre, centre):
        here = model(x)
    assert torch.allclose(found, here + (ahead - behind) / (2 * step), atol=1e-6)


def test_without_a_gain_in_it_the_weight_is_made_plain_and_said():
    tuner, _, said = stepped(Ungained, "split")
    (line,) = said
    assert "'0.weight', '2.weight'" in line
    assert report(tuner.model).responding == (5 + 5 + 2 + 2, sum(p.numel() for p in tuner.plain().parameters()))
