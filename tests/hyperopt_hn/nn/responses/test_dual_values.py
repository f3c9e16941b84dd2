"""Δ-STN's first-order outputs, wherever a model puts them: the value plus a finite difference, outputs of any kind."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, convert  # noqa: E402
from hyperopt_hn.nn.responses.delta import linearised  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])
Named = namedtuple("Named", "logits other")


@dataclass(frozen=True)
class Frozen:
    logits: torch.Tensor


class Slotted:
    __slots__ = ("itself", "logits")

    def __init__(self, logits):
        self.logits, self.itself = logits, self  # an object that holds itself


class Deep:
    def __init__(self, logits):
        self.inner = {"list": [(Frozen(logits),)]}


KINDS = {
    "tensor": (lambda y: y, lambda o: o),
    "mapping": (lambda y: {"y": [y]}, lambda o: o["y"][0]),
    "named tuple": (lambda y: Named(y, 1), lambda o: o.logits),
    "frozen dataclass": (Frozen, lambda o: o.logits),
    "slots": (Slotted, lambda o: o.logits),
    "objects in containers in an object": (Deep, lambda o: o.inner["list"][0][0].logits),
    "Categorical": (lambda y: torch.distributions.Categorical(logits=y), lambda o: o.logits),
    "Normal": (lambda y: torch.distributions.Normal(y, 1.0), lambda o: o.mean),
}


class Net(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.a, self.b, self.wrap, self._kept = nn.Linear(4, 6), nn.Linear(6, 2), wrap, []

    def forward(self, x):
        z = self.a(x)
        self.aux, self._kept = z.square().mean(1), [z]
        return self.wrap(self.b(z.tanh()))


def made(wrap):
    torch.manual_seed(0)
    model = convert(Net(wrap), SPACE, gain="stn").double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "response_scale" in name or "response_shift" in name:
                p.normal_()
    return model, torch.randn(5, 4).double(), torch.zeros(1).double(), torch.randn(5, 1).double()


def expected(model, x, centre, delta, read):
    """f(λ̂) + d/ds f(λ̂ + s δ), by central differences of the plain forward pass."""
    values, size = [], 1e-5
    for s in (0.0, size, -size):
        with torch.no_grad(), at(model, (centre + s * delta).expand(5, 1), centre):
            values.append(read(model, model(x)))
    return values[0] + (values[1] - values[2]) / (2 * size)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_any_kind_are_first_order(kind):
    wrap, get = KINDS[kind]
    model, x, centre, delta = made(wrap)
    want = expected(model, x, centre, delta, lambda _, out: get(out))
    with linearised(model, centre + delta, centre):
        got = get(model(x))
    assert torch.allclose(got, want, atol=1e-8) and got.requires_grad
    assert torch.autograd.grad(got.sum(), model.a.response_scale)[0].abs().max() > 1e-3


@pytest.mark.parametrize("name", ["aux", "_kept"])
def test_what_a_module_keeps_is_first_order(name):
    """An auxiliary loss that the training loss reads from the module has its gradient in the response."""

    def read(model, _):
        return getattr(model, name)[0]

    model, x, centre, delta = made(lambda y: y)
    want = expected(model, x, centre, delta, read)
    with linearised(model, centre + delta, centre):
        got = read(model, model(x))
    assert torch.allclose(got, want, atol=1e-8)
    assert torch.autograd.grad(got.sum(), model.a.response_scale)[0].abs().max() > 1e-3
