"""A run that goes on knows from its state which layers were made plain: it is the run that was not stopped."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper  # noqa: E402
from hyperopt_hn.nn import SelfTuner, Tuning, report  # noqa: E402


class Mixed(nn.Module):
    """A layer read past in a way that its source hides, an index into a parameter, positions; and what responds."""

    def __init__(self):
        super().__init__()
        self.first, self.lent, self.positions = nn.Linear(4, 4), nn.Linear(4, 4), nn.Embedding(3, 4)
        self.table = nn.Parameter(torch.randn(5, 4))
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        lent = dict(self.lent.named_parameters())
        h = torch.tanh(self.first(x) + self.positions(torch.arange(3)) + self.table[torch.tensor([0, 3, 1])])
        return F.linear(h, lent["weight"]) * self.scale


def made(form):
    torch.manual_seed(0)
    loss = lambda m, b, h=None: (m(b[0]) - 1).square().flatten(1).mean(1)  # noqa: E731
    hypers = [Hyper("a", 0.3, 0.0, 0.9), Hyper("b", 0.1, 0.0, 0.9)]
    return SelfTuner(Mixed(), hypers, train_loss=loss, valid_loss=loss, tuning=Tuning(form=form))


def batch(seed):
    return (torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(seed)),)


def go(tuner, seeds):
    for seed in seeds:
        tuner.train_step(batch(seed))
        tuner.tune_step(batch(100 + seed))
    return tuner.state_dict()


def same(one, two):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    return all(map(same, one, two)) and len(one) == len(two) if isinstance(one, (list, tuple)) else one == two


@pytest.mark.filterwarnings("ignore:.*do not respond to λ")
@pytest.mark.filterwarnings("ignore:only .* of the parameters respond")
@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_it_goes_on_to_the_bit_in_all_that_it_keeps(form):
    first = made(form)
    start = go(first, [1, 2])
    again = made(form)
    again.load_state_dict(start)
    left = report(first.model).left
    assert {"lent", "table", "positions"} <= left.keys() and report(again.model) == report(first.model)
    assert first.evaluate([batch(7)]) == again.evaluate([batch(7)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is found out a second time
        here = go(again, [3, 4])
    there = go(first, [3, 4])
    assert same(here.pop("optimizers"), there.pop("optimizers")) and same(here.pop("model"), there.pop("model"))
    assert {k for k in here if k != "random" and not same(here[k], there[k])} == set()
