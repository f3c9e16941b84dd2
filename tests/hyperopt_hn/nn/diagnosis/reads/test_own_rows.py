"""A parameter that cannot respond row by row is plain after the first train step: a warning, the report."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper  # noqa: E402
from hyperopt_hn.nn import SelfTuner, report  # noqa: E402

HYPERS = [Hyper("scale", 0.5, 0.1, 0.9), Hyper("other", 0.5, 0.1, 0.9)]


class Net(nn.Module):
    """A subclass that responds, and a weight that is read in an unknown way."""

    def __init__(self):
        super().__init__()
        self.first, self.mix, self.last = nn.Linear(4, 4), nn.Parameter(torch.randn(4, 4)), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(torch.tensordot(self.first(x).tanh(), self.mix, 1))


class Pooled(Net):
    """The weight is read in a known way, where each example's row has a part of the others'."""

    def forward(self, x):
        h = self.first(x).tanh()
        return self.last((h + h.mean(0)) @ self.mix)


def stepped(kind):
    torch.manual_seed(0)
    tuner = SelfTuner(
        kind(),
        HYPERS,
        train_loss=lambda m, b, h: m(b).square().mean(1) * h["scale"] + h["other"],
        valid_loss=lambda m, b: m(b).square().mean(1),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            tuner.train_step(torch.randn(6, 4))
    return tuner, [str(w.message) for w in caught]


def test_it_is_made_plain_and_said_once():
    tuner, said = stepped(Net)
    (line,) = said
    assert line.startswith("parameters that do not respond to λ: 'mix' (")
    found = report(tuner.model)
    assert "every example" in found.left[""]
    assert found.responding == (30, 46)
    before = tuner.model.mix.detach().clone()
    assert torch.equal(tuner.plain({"scale": 0.8, "other": 0.2}).mix, before)


def test_what_responds_alike_in_every_row_is_not_disturbed():
    tuner, said = stepped(Pooled)
    assert not said and report(tuner.model).share == 1.0
