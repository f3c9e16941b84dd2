"""At the first evaluation the model at another λ and its collapsed twin agree, or where they part is named."""

from __future__ import annotations

from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import Batches, Hypers, Optimizers, TorchProblem, TorchTuner, convert  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])


def of(layer):
    """What the source of a forward pass does not show."""
    return layer.weight, layer.bias


class Past(nn.Module):
    """Calls its layer in training; in evaluation it takes the weight past it."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self.a(x).tanh() if self.training else F.linear(x, *of(self.a)).tanh()


class Encoder(nn.Module):
    """torch's own encoder, whose fast path in evaluation leaves padded places at zero."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.inp, self.body, self.out = nn.Linear(4, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, 2)

    def forward(self, x):
        z = self.inp(x).unsqueeze(1).expand(-1, 3, -1)
        padded = torch.zeros(len(x), 3, dtype=torch.bool)
        padded[1:, 2] = True
        return self.out(self.body(z, src_key_padding_mask=padded)[:, 0])


class Noisy(nn.Module):
    """Random in evaluation too, and by a generator that nobody can put back: no two calls agree."""

    def __init__(self):
        super().__init__()
        self.a, self.draws = nn.Linear(4, 4), iter(range(10**6))

    def forward(self, x):
        return self.a(x) * (1 + next(self.draws))


def tuner_of(net, response):
    torch.manual_seed(0)
    model, hypers = convert(net, SPACE, gain="stn"), Hypers(SPACE)
    data = torch.randn(16, 4), torch.arange(16) % 2
    loss = lambda m, b, h=None: F.cross_entropy(m(b[0]), b[1])  # noqa: E731
    problem = TorchProblem(loss, loss, Batches.of(data, 8), Batches.of(data, 8))
    return TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)), response)


@pytest.mark.parametrize("response", ["stn", "delta", "split"])
def test_where_they_part_is_named(response):
    tuner = tuner_of(nn.Sequential(nn.Linear(4, 4), Past(), nn.Linear(4, 2)), response)
    tuner.train_step()
    with torch.no_grad():
        for layer in (tuner.losses.bare[0], tuner.losses.bare[1].a):
            layer.response_scale.normal_()
    with pytest.raises(UserError, match=r"collapsed twin part at module '1': .* in evaluation mode"):
        tuner.evaluate()


@pytest.mark.parametrize("net", [Encoder, lambda: nn.Sequential(Noisy(), nn.Linear(4, 2))], ids=["encoder", "noisy"])
def test_no_false_alarm_and_no_trace(net):
    tuner = tuner_of(net(), "stn")
    tuner.train_step()
    seen, bare = [], tuner.losses.bare
    bare.register_forward_hook(lambda *_: seen.append(1))
    before, random = {k: v.clone() for k, v in bare.state_dict().items()}, torch.get_rng_state()
    tuner.evaluate()
    assert all(torch.equal(before[k], v) for k, v in bare.state_dict().items())
    assert torch.equal(random, torch.get_rng_state()) and bare.training and len(seen) == 2


class Kept(nn.Module):
    """A layer that is called by way of what a copy follows and a conversion back does not."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)
        self.call = partial(self.b)

    def forward(self, x):
        return self.call(self.a(x).tanh())


def test_a_layer_that_the_twin_cannot_reach_is_said():
    model = convert(Kept(), SPACE, form="gated")
    loss = lambda m, b, h=None: F.cross_entropy(m(b[0]), b[1])  # noqa: E731
    data = torch.randn(8, 4), torch.arange(8) % 2
    problem = TorchProblem(loss, loss, Batches.of(data, 8), Batches.of(data, 8))
    tuner = TorchTuner(model, Hypers(SPACE), problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)))
    tuner.train_step()
    with pytest.raises(UserError, match="still calls a layer that responds"):
        tuner.evaluate()
