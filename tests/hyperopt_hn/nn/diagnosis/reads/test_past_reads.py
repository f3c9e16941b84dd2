"""Weights read past their layers: such layers are made plain, so that training and the collapsed model agree."""

from __future__ import annotations

import random
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    Batches,
    Hypers,
    Optimizers,
    SelfTuner,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    Tuning,
    collapse,
    convert,
    report,
)
from hyperopt_hn.nn.diagnosis.prints import Prints, parted  # noqa: E402
from hyperopt_hn.nn.diagnosis.reads import past_reads  # noqa: E402
from tests.support.half_lstm import lstm_in_bfloat16  # noqa: E402

SPACE = HyperSpace([Hyper("p", 0.3, 0.0, 0.9)])
DATA = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2


def weight_of(layer):
    """A read that the source of a forward pass does not show."""
    return layer.weight


def bias_of(layer):
    return layer.bias


class Embedded(nn.Module):
    """The table is called, and read past its layer as the output weight."""

    def __init__(self):
        super().__init__()
        self.emb, self.mid = nn.Embedding(11, 6), nn.Linear(6, 6)

    def forward(self, x):
        tokens = (x.abs() * 3).long().clamp(max=10)
        return F.linear(self.mid(self.emb(tokens)).tanh(), weight_of(self.emb)).mean(1)[:, :2]


class Fused(nn.Module):
    """Layers that are never called: their weights go into a function, one as a part of another tensor."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        both = torch.cat([weight_of(self.q), weight_of(self.k)])
        return self.out(F.linear(x, both, torch.cat([bias_of(self.q), bias_of(self.k)])).tanh().view(-1, 2, 4).mean(1))


class Listed(nn.Module):
    """Layers kept in an object beside their registration."""

    def __init__(self):
        super().__init__()
        self.held = SimpleNamespace(blocks=[nn.Linear(4, 4), nn.Linear(4, 4)])
        for i, block in enumerate(self.held.blocks):
            self.add_module(f"block{i}", block)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        for block in self.held.blocks:
            x = block(x).tanh()
        return self.out(x)


class Doubled(torch.autograd.Function):
    """A function of the user's own."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return 2 * x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        return 2 * grad @ weight, 2 * grad.T @ x


class Hidden(nn.Module):
    """A weight that only an own autograd function reads; called as well if `twice`."""

    def __init__(self, twice=False):
        super().__init__()
        self.a, self.out, self.twice = nn.Linear(4, 4, bias=False), nn.Linear(4, 2), twice

    def forward(self, x):
        return self.out(Doubled.apply(self.a(x) if self.twice else x, weight_of(self.a)).tanh())


class Fine(nn.Module):
    """Asks a weight for its type, device and shape, as many models do; reads it nowhere."""

    def __init__(self):
        super().__init__()
        self.a, self.out = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        start = self.a.weight.new_zeros(len(x), self.a.weight.shape[0])
        return self.out(self.a(x.to(self.a.weight)).tanh() + start)


def loss(model, batch, h=None):
    return F.cross_entropy(model(batch[0]), batch[1])


def tuner_of(net, space=SPACE, train=loss, response="stn"):
    torch.manual_seed(0)
    model, hypers = convert(net, space), Hypers(space)
    problem = TorchProblem(train, loss, Batches.of(DATA, 8), Batches.of(DATA, 40))
    optimizers = Optimizers(torch.optim.Adam(model.parameters(), 0.02), torch.optim.Adam([hypers.lam], 0.03))
    return TorchTuner(model, hypers, problem, optimizers, response)


CASES = [
    (Embedded, ["emb"], ["mid"]),
    (Fused, ["k", "q"], ["out"]),
    (Listed, ["block0", "block1"], ["out"]),
    (Hidden, ["a"], ["out"]),
]


@pytest.mark.parametrize("response", ["stn", "delta", "split"])
@pytest.mark.parametrize(("net", "plain", "responding"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_read_past_is_made_plain(net, plain, responding, response):
    tuner = tuner_of(net(), response=response)
    with pytest.warns(UserWarning, match=f"{len(plain)} of .*do not respond.*{plain[0]}"):
        tuner.train_step()
    for _ in range(30):
        tuner.train_step()
        tuner.tune_step()
    made = report(tuner.losses.bare)
    assert sorted(made.converted) == responding
    assert sorted(made.left) == plain and "read past" in made.left[plain[0]]
    twin = tuner.collapsed().eval()
    assert loss(twin, DATA).item() == pytest.approx(tuner.evaluate()["valid_loss"], abs=1e-6)
    other = collapse(tuner.losses.bare, torch.tensor([2.0]), h=torch.tensor([2.0]))
    for name in plain:  # collapse never moves a weight that did not respond
        assert torch.equal(other.get_parameter(name + ".weight"), tuner.losses.bare.get_parameter(name + ".weight"))
    assert not torch.equal(
        other.get_parameter(responding[0] + ".weight"), twin.get_parameter(responding[0] + ".weight")
    )


def test_what_only_asks_for_a_type_responds():
    tuner = tuner_of(Fine())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuner.train_step()
    assert sorted(report(tuner.losses.bare).converted) == ["a", "out"]


def test_what_cannot_be_cured_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(past_reads, "make_plain", lambda model, ids, reason: [])
    with pytest.raises(UserError, match=r"from module '1\.out' on, outputs at λ differ"):
        tuner_of(nn.Sequential(nn.Linear(4, 4), Hidden(twice=True))).train_step()


def test_nothing_left_to_respond():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x):
            return F.linear(x, weight_of(self.a))

    with pytest.raises(UserError, match="no layer of this model can respond"):
        tuner_of(Bare()).train_step()


def test_the_check_leaves_no_trace():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm, self.drop = nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)

        def forward(self, x):
            return self.drop(self.norm(self.a(x + random.random() + float(np.random.rand()))))

    tuner = tuner_of(Noisy())
    before = {k: v.clone() for k, v in tuner.losses.bare.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    assert past_reads.settle(tuner.losses, [(tuner.losses.bare, (DATA[0],), {})]) == []
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    after = tuner.losses.bare.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(p.requires_grad and p.is_leaf for p in tuner.losses.bare.parameters())


def test_goes_on_from_a_checkpoint():
    def made():
        return tuner_of(Embedded())

    with pytest.warns(UserWarning, match="do not respond"):
        one = made()
        for _ in range(3):
            one.train_step()
        two = made()
        two.load_state(one.state())
        for tuner in (one, two):
            for _ in range(3):
                tuner.train_step()
                tuner.tune_step()
    mine, other = one.losses.bare.state_dict(), two.losses.bare.state_dict()
    assert all(torch.equal(mine[k], other[k]) for k in mine)
    assert torch.equal(one._hypers.lam, two._hypers.lam)


def test_prints_name_the_first_module_that_differs():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(4, 40), nn.Sequential(nn.Linear(40, 3)), nn.ReLU()), torch.randn(5, 4)
    with Prints(net) as one:
        net(x)
    with Prints(net) as same:
        net(x + 1e-7)
    with torch.no_grad():
        net[1][0].weight[0, 0] += 1.0
    with Prints(net) as two:
        net(x)
    assert parted(one, same) is None
    assert parted(one, two) == "1.0"


@pytest.mark.parametrize("autocast", ["", "bfloat16"])
@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_a_long_recurrence_under_dropconnect_or_in_bfloat16_is_no_false_alarm(form, autocast):
    """Low-rank responses are not masked, and bfloat16 parts two ways to the same number by percents in 60 steps."""
    if autocast and not lstm_in_bfloat16():
        pytest.skip("torch's own LSTM does not run in bfloat16 on this processor")
    torch.manual_seed(0)
    words = torch.randint(0, 50, (16, 60))
    net = nn.ModuleDict({"table": nn.Embedding(50, 64), "rnn": nn.LSTM(64, 64, batch_first=True)})
    net.forward = lambda x: net["rnn"](net["table"](x))[0]
    space = HyperSpace([Hyper("p", 0.3, 0.0, 0.9, shared=True)])
    model = convert(net, space, form=form, dropout={"rnn.weight_hh": "p"})
    hypers, source = Hypers(space), Batches.of(words, 16)
    loss = lambda model, batch, h=None: model(batch).float().square().mean()  # noqa: E731
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.1), torch.optim.Adam([hypers.lam], 0.01))
    config = TunerConfig(autocast=autocast)
    tuner = TorchTuner(model, hypers, TorchProblem(loss, loss, source, source), optimizers, "stn", config)
    tuner.train_step()
    assert "rnn" in dict(report(model).converted) and model["rnn"].dropconnect == "p"


@pytest.mark.filterwarnings("ignore::hyperopt_hn.nn.FewRespondWarning")
def test_the_users_hooks_run_once_a_call():
    """The check calls the model again; hooks that count or record see the training step's own calls alone."""
    calls = []
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    net.register_forward_hook(lambda *_: calls.append("net"))
    net[0].register_forward_pre_hook(lambda *_: calls.append("a"))  # and stays plain: its hooks would be lost
    tuner_of(net).train_step()
    assert sorted(calls) == ["a", "net"]


class Codebook(nn.Module):
    """The nearest row of a table is chosen by its weights and looked up: what is read past it is an index."""

    def __init__(self):
        super().__init__()
        self.encoder, self.codes, self.out = nn.Linear(4, 3), nn.Embedding(5, 3), nn.Linear(3, 2)

    def forward(self, x):
        z = self.encoder(x)
        chosen = (z[:, None] - weight_of(self.codes).detach()).square().sum(-1).argmin(1)
        return self.out(z + (self.codes(chosen) - z).detach())


class NeverCalled(nn.Module):
    """A layer that only lends its weights."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(4, 3), nn.Linear(3, 2, bias=False)

    def weights(self):
        return dict(self.head.named_parameters())["weight"]

    def forward(self, x):
        return nn.functional.linear(self.encoder(x), self.weights())


@pytest.mark.parametrize("form", ["full", "lowrank"])
@pytest.mark.parametrize(("made", "name"), [(Codebook, "codes"), (NeverCalled, "head")])
def test_a_response_that_begins_at_zero_and_a_choice_are_seen_too(form, made, name):
    torch.manual_seed(0)
    loss = lambda m, b, h=None: (m(b[0]) - 1).square().mean(1)  # noqa: E731
    hypers = [Hyper("a", 0.3, 0.0, 0.9)]
    tuner = SelfTuner(made(), hypers, train_loss=loss, valid_loss=loss, tuning=Tuning(form=form))
    with pytest.warns(UserWarning, match=f"do not respond to λ: '{name}'"):
        tuner.train_step((torch.randn(8, 4),))
    assert name in report(tuner.model).left


class Sloped(nn.Module):
    """Attention inside a derivative that the model takes itself: nothing is read past a layer."""

    def __init__(self):
        super().__init__()
        self.attention, self.out = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        with torch.enable_grad():
            x = x[:, None].expand(-1, 3, -1).clone().requires_grad_()
            energy = self.out(self.attention(x, x, x)[0]).sum()
            return torch.autograd.grad(energy, x, create_graph=True)[0].mean(1)


@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_attention_that_goes_another_way_where_gradients_are_wanted_is_no_false_alarm(form):
    torch.manual_seed(0)
    loss = lambda m, b, h=None: (m(b[0]) - 1).square().mean(1)  # noqa: E731
    hypers = [Hyper("a", 0.3, 0.0, 0.9)]
    tuner = SelfTuner(Sloped(), hypers, train_loss=loss, valid_loss=loss, tuning=Tuning(form=form))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuner.train_step((torch.randn(8, 4),))
    assert report(tuner.model).share == 1.0
