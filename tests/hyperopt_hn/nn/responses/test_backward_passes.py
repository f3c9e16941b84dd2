"""Parts that are computed again on the way back answer for λ; what cannot be differentiated again is one line."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.func import functional_call  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from hyperopt_hn import Hyper, UserError  # noqa: E402
from hyperopt_hn.nn import SelfTuner, Tuning, response_parameters  # noqa: E402

HYPERS = [Hyper("a", 0.3, 0.0, 0.9), Hyper("b", 0.1, 0.0, 0.9)]


class Scaled(nn.Linear):
    """A subclass, and a bare parameter: both respond by themselves."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.gain = nn.Parameter(torch.ones(outputs))

    def forward(self, x):
        return super().forward(x) * self.gain


class Blocks(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.first, self.block, self.out, self.how = nn.Linear(6, 5), Scaled(5, 5), nn.Linear(5, 2), how

    def part(self, x):
        return torch.tanh(self.block(x)) * self.block.gain

    def forward(self, x):
        x = self.first(x)
        return self.out(self.part(x) if self.how is None else checkpoint(self.part, x, use_reentrant=self.how))


def tuner_of(model, form="full", **more):
    loss = lambda m, b, h=None: (m(b[0]) - 1).square().mean(1)  # noqa: E731
    sgd = lambda parameters: torch.optim.SGD(parameters, 0.1)  # noqa: E731
    tuning = Tuning(form=form)
    return SelfTuner(model, HYPERS, train_loss=loss, valid_loss=loss, optimizer=sgd, tuning=tuning, **more)


@pytest.mark.parametrize("form", ["full", "lowrank", "gated", "generic"])
@pytest.mark.parametrize("response", ["split", "stn"])
def test_a_checkpointed_model_takes_the_steps_of_the_same_model_without(form, response):
    ends = []
    for how in (None, False):
        torch.manual_seed(0)
        tuner = tuner_of(Blocks(how).double(), form, response=response)
        batches = [(torch.randn(4, 6).double(),) for _ in range(4)]
        for batch in batches:
            tuner.train_step(batch)
            tuner.tune_step(batch)
        ends.append((tuner.model.state_dict(), tuner.tuner.losses.hypers.lam.detach()))
    (one, lam), (two, other) = ends
    assert all(torch.equal(one[name], two[name]) for name in one) and torch.equal(lam, other)
    assert any(bool(p.any()) for n, p in one.items() if "response_of_" in n)


def test_a_reentrant_checkpoint_is_refused_in_one_line():
    tuner = tuner_of(Blocks(True).double())
    batch = (torch.randn(4, 6).double(),)
    tuner.train_step(batch)
    assert any(bool(p.any()) for p in response_parameters(tuner.model))
    with pytest.raises(UserError, match=r"^torch.utils.checkpoint with use_reentrant=True .*use_reentrant=False$"):
        tuner.tune_step(batch)


class Inner(nn.Module):
    """A step of training inside the model, as in meta-learning."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 2)

    def forward(self, x):
        own = dict(self.linear.named_parameters())
        with torch.enable_grad():
            loss = functional_call(self.linear, own, (x,)).square().mean()
            slopes = torch.autograd.grad(loss, list(own.values()), create_graph=True)
        moved = {name: p - 0.1 * g for (name, p), g in zip(own.items(), slopes, strict=True)}
        return functional_call(self.linear, moved, (x,))


def test_a_model_that_differentiates_its_own_weights_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^the model or its loss differentiates its own weights"):
        tuner_of(Inner().double()).train_step((torch.randn(4, 6).double(),))
