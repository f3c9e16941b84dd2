"""Where the batch is in every layer's input: right where sizes coincide, measured against each example alone."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    Batches,
    Hypers,
    Looped,
    Optimizers,
    TorchProblem,
    TorchTuner,
    at,
    collapse,
    convert,
    report,
    set_batch_dim,
)
from hyperopt_hn.nn.context import hyper_layers  # noqa: E402
from hyperopt_hn.nn.diagnosis.axes.batch_places import OTHER, STILL  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])
B = T = 4


class TimeFirst(nn.Module):
    """(T, B, F): the output layer after an LSTM."""

    def __init__(self):
        super().__init__()
        self.rnn, self.norm, self.out = nn.LSTM(3, 5), nn.LayerNorm(5), nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.norm(self.rnn(x.transpose(0, 1))[0])).mean(0)


class Positions(nn.Module):
    """A table of T positions, as many as there are examples, without and with a batch axis of one."""

    def __init__(self, lead):
        super().__init__()
        self.lead, self.table, self.inp, self.out = lead, nn.Embedding(T, 6), nn.Linear(3, 6), nn.Linear(6, 2)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        where = torch.arange(x.shape[1])
        where = where[None] if self.lead else where
        return self.out((self.inp(x) + self.drop(self.table(where))).tanh()).mean(1)


class Flattened(nn.Module):
    """The rows of the layers are B·T: an example's own one after another, or the batch T times over."""

    def __init__(self, turned):
        super().__init__()
        self.turned, self.inp, self.out = turned, nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = x.transpose(0, 1) if self.turned else x
        y = self.out(self.inp(x.flatten(0, 1)).tanh()).unflatten(0, x.shape[:2])
        return y.mean(0 if self.turned else 1)


class Windows(nn.Module):
    """Images in windows: attention over (B · windows, places, E), B as long as everything else."""

    def __init__(self):
        super().__init__()
        self.inp, self.att, self.out = nn.Linear(3, 4), nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        z = self.inp(x).unflatten(1, (2, 2)).flatten(0, 1)
        return self.out(self.att(z, z, z, need_weights=False)[0]).unflatten(0, (-1, 2)).mean((1, 2))


class Attending(nn.Module):
    """Attention over as many places as there are examples, time first and batch first."""

    def __init__(self, first):
        super().__init__()
        self.inp, self.att, self.out = nn.Linear(3, 4), nn.MultiheadAttention(4, 2, batch_first=first), nn.Linear(4, 2)

    def forward(self, x):
        z = self.inp(x if self.att.batch_first else x.transpose(0, 1))
        return self.out(self.att(z, z, z, need_weights=False)[0]).mean(1 if self.att.batch_first else 0)


class Image(nn.Module):
    """(B, C, H, W) with C = H = W = B, then channels last."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(T, T, 3, padding=1), nn.LayerNorm(T), nn.Linear(T, 2)

    def forward(self, x):
        return self.out(self.norm(self.conv(x.unsqueeze(-1).expand(-1, -1, -1, T)).movedim(1, -1)).tanh()).mean((1, 2))


NETS = {
    "time first": (TimeFirst, 3, []),
    "positions (T,)": (lambda: Positions(False), 3, ["table"]),
    "positions (1, T)": (lambda: Positions(True), 3, ["table"]),
    "an example's rows in turn": (lambda: Flattened(False), 3, []),
    "the batch several times over": (lambda: Flattened(True), 3, []),
    "windows": (Windows, 3, []),
    "attention, time first": (lambda: Attending(False), 3, []),
    "attention, batch first": (lambda: Attending(True), 3, []),
    "images": (Image, T, []),
}


def loss(model, batch, h=None):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def tuner_of(net, features=3, response="stn", train=loss, size=B, **problem):
    torch.manual_seed(0)
    data = torch.randn(12, T, features), torch.arange(12) % 2
    model, hypers = (
        convert(net, SPACE, gain="stn", dropout={"drop": "a"} if hasattr(net, "drop") else None),
        Hypers(SPACE),
    )
    sources = Batches.of(data, size), Batches.of(data, 12)
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.0), torch.optim.SGD([hypers.lam], 0.1))
    return TorchTuner(model, hypers, TorchProblem(train, loss, *sources, **problem), optimizers, response), data


@pytest.mark.parametrize("response", ["stn", "split"])
@pytest.mark.parametrize("kind", NETS)
def test_every_example_answers_for_its_own_lambda_where_sizes_coincide(kind, response):
    make, features, plain = NETS[kind]
    tuner, (x, _) = tuner_of(make(), features, response)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tuner.train_step()
    model = tuner.losses.bare.eval()
    assert sorted(report(model).left) == plain and all(report(model).left[name] == STILL for name in plain)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert {name.partition(".")[0] for name in frozen} == set(plain) and all("response_" in name for name in frozen)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad and p.shape[-1:] == (1,) and "response_" in name:
                p.normal_()
    lam = torch.randn(B, 1) * 2
    with torch.no_grad(), at(model, lam, h=lam):
        got = model(x[:B])
    each = torch.cat([collapse(model, lam[i], h=lam[i]).eval()(x[i : i + 1]) for i in range(B)])
    assert torch.allclose(got, each, atol=1e-5)
    with torch.no_grad(), at(model, torch.zeros(1), h=torch.zeros(1)):
        assert not torch.allclose(got, model(x[:B]), atol=1e-2)
    tuner.train_step()
    tuner.tune_step()


def test_rows_may_lie_along_another_axis_of_the_batch():
    """`rows` says that examples are columns; T = B, so nothing but a cut batch can tell."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inp, self.out = nn.Linear(3, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.out(self.inp(x).tanh()).mean(0)

    torch.manual_seed(0)
    batch = torch.randn(T, B, 3), torch.arange(B) % 2
    model, hypers = convert(Net(), SPACE, gain="stn"), Hypers(SPACE)
    problem = TorchProblem(loss, loss, Looped([batch]), Looped([batch]), rows=lambda b: b[0].shape[1])
    tuner = TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.0)), "stn")
    tuner.train_step(batch)
    lam = torch.randn(B, 1) * 3
    with torch.no_grad(), at(model, lam):
        got = model(batch[0])
    each = torch.cat([collapse(model, lam[i])(batch[0][:, i : i + 1]) for i in range(B)])
    assert torch.allclose(got, each, atol=1e-5)


def test_a_recurrent_layer_that_takes_the_batch_for_time_is_refused_by_name():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(3, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.out(self.rnn(x)[0]).mean(1)

    tuner, _ = tuner_of(Turned())
    with pytest.raises(UserError, match=r"'rnn' \(LSTM, batch_first=False\) takes axis 1 .* along axis 0"):
        tuner.train_step()


def test_rows_of_another_kind_are_left_plain_by_name():
    """Rows that a router chose are no examples, however many there are."""

    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inp, self.expert, self.out = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

        def forward(self, x):
            z = self.inp(x[:, 0]).tanh()
            chosen = torch.arange(len(z)) < 3 if len(z) == B else torch.arange(len(z)) < 2
            return self.out(z.masked_scatter(chosen[:, None], self.expert(z[chosen])))

    tuner, _ = tuner_of(Routed())
    tuner.train_step()
    assert dict(report(tuner.losses.bare).left) == {"expert": OTHER}


def test_without_a_measurement_two_equal_sizes_are_asked_about():
    torch.manual_seed(0)
    model = convert(nn.Linear(3, 2), SPACE, gain="stn")
    x, lam = torch.randn(T, B, 3), torch.randn(B, 1)
    with pytest.raises(UserError, match=r"dimensions 0 and 1 .* set_batch_dim\(model, 0 or 1\)"), at(model, lam):
        model(x)
    for axis in (0, 1):
        set_batch_dim(model, axis)
        with torch.no_grad(), at(model, lam):
            got = model(x)
        each = [collapse(model, lam[i])(x.select(axis, i)) for i in range(B)]
        assert torch.allclose(got, torch.stack(each, axis), atol=1e-6)


def test_attention_knows_its_own_batch_without_being_asked():
    model = convert(nn.MultiheadAttention(4, 2, batch_first=True), SPACE, gain="stn")
    z, lam = torch.randn(B, T, 4), torch.randn(B, 1)
    with torch.no_grad(), at(model, lam):
        got = model(z, z, z)[0]
    each = [collapse(model, lam[i])(z[i : i + 1], z[i : i + 1], z[i : i + 1])[0] for i in range(B)]
    assert torch.allclose(got, torch.cat(each), atol=1e-5)


def test_a_dropout_without_a_batch_axis_takes_the_mean_rate():
    tuner, _ = tuner_of(Positions(False))
    tuner.train_step()
    model = tuner.losses.bare
    rates = torch.tensor([0.05, 0.15, 0.6, 0.8])
    lam = SPACE["a"].raw(0.3)
    with at(model, torch.full((B, 1), float(lam)), values={"a": rates}):
        mask = model.drop(torch.ones(200_000, 3))
    assert sorted(mask.unique().tolist()) == pytest.approx([0.0, 1 / 0.6], rel=1e-5)
    assert float((mask == 0).float().mean()) == pytest.approx(0.4, abs=3e-3)


def test_measuring_leaves_no_trace():
    """Buffers, attributes, random numbers: as if the losses had not been called; the user's hooks are not."""

    class Kept(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.drop, self.out, self.seen, self.last = (
                nn.BatchNorm1d(T * 3),
                nn.Dropout(0.5),
                nn.Linear(12, 2),
                [],
                None,
            )

        def forward(self, x):
            self.seen.append(len(x))
            self.last = x
            return self.out(self.drop(self.norm(x.flatten(1))))

    counts = {"measured": 0, "not": 0}
    states = {}
    for name, net in (("measured", Kept()), ("not", Kept())):
        net.load_state_dict(states.setdefault("start", {k: v.clone() for k, v in net.state_dict().items()}))
        tuner, _ = tuner_of(net)
        tuner._start = 0 if name == "measured" else -1
        net.register_forward_hook(lambda *_, name=name: counts.__setitem__(name, counts[name] + 1))
        torch.manual_seed(5)
        tuner.train_step()
        states[name] = {k: v.clone() for k, v in net.state_dict().items()} | {"random": torch.get_rng_state()}
        assert net.seen == [B] and len(net.last) == B
    assert counts == {"measured": 1, "not": 1}
    assert all(torch.equal(states["measured"][k], states["not"][k]) for k in states["not"])
    assert len({layer.home for _, layer in hyper_layers(tuner.losses.bare)}) == 1


class Augmenting:
    """A loss that draws from generators of its own and changes its images, as long on every side as the batch."""

    def __init__(self):
        self.kept = {
            "torch": torch.Generator().manual_seed(1),
            "numpy": np.random.default_rng(1),
            "python": random.Random(1),
        }

    def __call__(self, model, batch, h=None):
        noise = torch.randn(batch[0].shape, generator=self.kept["torch"])
        noise = noise * (self.kept["numpy"].random() + self.kept["python"].random())
        return nn.functional.cross_entropy(model(batch[0] + noise), batch[1])


def test_a_loss_with_generators_of_its_own_draws_what_it_would_draw():
    """Only the loss can tell the batch's axis of images that it changed; what it draws for that is not counted."""
    losses = [Augmenting(), Augmenting()]
    for measured, own in zip((True, False), losses, strict=True):
        tuner, _ = tuner_of(Image(), T, train=own)
        if not measured:
            tuner._start = -1
            set_batch_dim(tuner.losses.bare, 0)
        tuner.train_step()
        assert {layer.home.batch_dim for _, layer in hyper_layers(tuner.losses.bare)} == {0}
    states = [
        (o.kept["torch"].get_state().tolist(), o.kept["numpy"].bit_generator.state, o.kept["python"].getstate())
        for o in losses
    ]
    assert states[0] == states[1]


@pytest.mark.parametrize("kind", ["positions (T,)", "time first", "the batch several times over"])
def test_a_run_may_go_on_with_a_perturbed_tune_step(kind):
    """A fresh process whose first step tunes λ and its spread at one λ per example measures in the validation loss."""
    make, features, plain = NETS[kind]
    tuner, (x, _) = tuner_of(make(), features)
    hypers = tuner.losses.hypers
    tuner.optimizers = replace(tuner.optimizers, rho=torch.optim.SGD([hypers.rho], 0.1))
    tuner.tune_step()
    model = tuner.losses.bare.eval()
    assert sorted(report(model).left) == plain
    lam = torch.randn(B, 1) * 2
    with torch.no_grad(), at(model, lam, h=lam):
        got = model(x[:B])
    each = torch.cat([collapse(model, lam[i], h=lam[i]).eval()(x[i : i + 1]) for i in range(B)])
    assert torch.allclose(got, each, atol=1e-5)


class Reordered(nn.Module):
    """A part sees the examples in another order: sorted by their first entry, rolled or turned, and put back."""

    def __init__(self, how):
        super().__init__()
        self.how, self.first, self.last = how, nn.Linear(3, 5), nn.Linear(5, 2)
        self.inside = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5, track_running_stats=False))

    def order(self, x):
        rows = torch.arange(len(x))
        return {"sorted": x[:, 0].argsort(), "rolled": rows.roll(1), "turned": rows.flip(0), "none": rows}[self.how]

    def forward(self, x):
        order = self.order(x)
        h = self.inside(self.first(x)[order].tanh())[order.argsort()]
        return self.last(h + h.mean(0))


@pytest.mark.parametrize("how", ["sorted", "rolled", "turned", "none"])
@pytest.mark.filterwarnings("ignore:only .* of the parameters respond")
def test_rows_in_another_order_than_the_batchs_are_left_plain_by_name(how):
    """What mixes examples (a batch's mean and statistics) keeps their order and responds."""
    torch.manual_seed(0)
    model = convert(Reordered(how), SPACE, gain="stn")
    data = torch.randn(6, 3), torch.arange(6) % 2
    loss = lambda m, b, h=None: nn.functional.cross_entropy(m(b[0]), b[1])  # noqa: E731
    problem = TorchProblem(loss, loss, Batches.of(data, 6), Batches.of(data, 6))
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.1))
    TorchTuner(model, Hypers(SPACE), problem, optimizers).train_step()
    left = {} if how == "none" else {"inside.0": OTHER, "inside.1": OTHER}
    assert report(model).left == left
