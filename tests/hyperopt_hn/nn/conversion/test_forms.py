"""The forms of the response in whole models: materialised weights, collapse, ties, DropConnect, what stays."""

from __future__ import annotations

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    at,
    bind,
    collapse,
    convert,
    general_parameters,
    report,
    response_parameters,
    set_batch_dim,
)
from hyperopt_hn.nn.layers.masks import keep_mask  # noqa: E402
from tests.support.half_lstm import lstm_in_bfloat16  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.3, 0, 1), Hyper("b", 0.2, 0, 1, shared=True)])
FORMS = ("full", "lowrank", "gated")
B = 4
every_form = pytest.mark.parametrize("form", FORMS)


class Words(nn.Module):
    """A tied table, two LSTM layers and a norm; (B, T) -> (B, T, words)."""

    def __init__(self):
        super().__init__()
        self.table, self.rnn = nn.Embedding(11, 6, padding_idx=0), nn.LSTM(6, 6, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 11)
        self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(self.norm(self.rnn(self.table(x))[0]))


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True, norm_first=True)
    return nn.Sequential(nn.Linear(5, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), lambda: torch.randn(B, 5)),
    "conv": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True), nn.Conv2d(4, 6, 3, groups=2)),
        lambda: torch.randn(B, 2, 7, 7),
    ),
    "words": (Words, lambda: torch.randint(0, 11, (B, 5))),
    "encoder": (encoder, lambda: torch.randn(B, 3, 5)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def converted(name, form, **options):
    """A converted model in float64 and evaluation mode with a random response, and a batch."""
    torch.manual_seed(0)
    make, batch = MODELS[name]
    model = make().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = batch()
    model = convert(model, SPACE, form=form, **options).eval()
    with torch.no_grad():
        for p in response_parameters(model):
            p.copy_(0.3 * torch.randn_like(p))
    return model, x.double() if x.is_floating_point() else x


@every_form
@every_model
def test_each_example_sees_the_model_collapsed_at_its_own_lambda(name, form):
    model, x = converted(name, form)
    plain = MODELS[name][0]().double()
    lams, centre = torch.randn(B, 2).double(), torch.randn(2).double()
    lams[3] = lams[2]  # a group of two
    for middle in (None, centre):
        with at(model, lams, middle):
            out = model(x)
        for i in range(B):
            one = collapse(model, lams[i], middle)
            plain.load_state_dict(one.state_dict(), strict=True)
            assert [type(m) for m in one.modules()] == [type(m) for m in plain.modules()]
            torch.testing.assert_close(plain.eval()(x[i : i + 1]), out[i : i + 1], rtol=1e-10, atol=1e-12)
            with at(model, lams[i], middle):  # with gradients, and the merged weights without
                torch.testing.assert_close(model(x)[i], out[i], rtol=1e-10, atol=1e-12)
                with torch.no_grad():
                    torch.testing.assert_close(model(x)[i], out[i], rtol=1e-10, atol=1e-12)
    if name == "words":
        one = collapse(model, centre)
        assert one.head.weight is one.table.weight


@every_form
@every_model
def test_nothing_moves_at_the_start_and_the_parameters_stay(name, form):
    torch.manual_seed(0)
    plain, x = MODELS[name][0]().eval(), MODELS[name][1]()
    before, names = list(plain.parameters()), [n for n, _ in plain.named_parameters()]
    expected = plain(x)
    model = convert(plain, SPACE, form=form)
    assert all(a is b for a, b in zip(general_parameters(model), before, strict=True))
    assert [n for n, _ in model.named_parameters() if "response_" not in n] == names
    lams = torch.randn(B, 2)
    with at(model, lams, lams[0]):
        torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["lowrank", "gated"])
@every_model
def test_the_very_modules_stay_with_their_classes(name, form):
    torch.manual_seed(0)
    plain = MODELS[name][0]()
    kinds = nn.Linear, nn.Conv2d, nn.Embedding, nn.LSTM
    kept = [(m, kind) for m in plain.modules() for kind in kinds if isinstance(m, kind)]
    plain.notes = [kept[0][0]]  # a reference that is no child
    model = convert(plain, SPACE, form=form)
    assert all(isinstance(m, kind) and any(m is n for n in model.modules()) for m, kind in kept)
    for module, _ in kept:
        if isinstance(module, nn.LSTM):
            module.flatten_parameters()
    twins = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    lams, x = torch.randn(B, 2), MODELS[name][1]()
    model.eval()
    with at(model, lams):
        out = model(x)
    for twin in twins:
        twin.eval()
        with at(twin, lams):
            assert torch.equal(twin(x), out)
    saved = io.BytesIO()
    torch.save(model.state_dict(), saved)
    saved.seek(0)
    fresh = convert(MODELS[name][0](), SPACE, form=form)
    fresh.load_state_dict(torch.load(saved, weights_only=True))


@every_form
def test_a_failed_conversion_leaves_the_model_plain(form):
    model = nn.Sequential(nn.Linear(3, 3), nn.MultiheadAttention(4, 2), nn.Dropout(0.1))
    kinds = [type(m) for m in model.modules()]
    with pytest.raises(UserError, match="matches nothing"):
        convert(model, SPACE, form=form, dropout={"nowhere": "a"})
    assert [type(m) for m in model.modules()] == kinds
    assert not any("response_" in name for name, _ in model.named_parameters())
    with pytest.raises(UserError, match="'lowrank'"):
        convert(model, SPACE, form="low rank")
    with pytest.raises(UserError, match="rank=0"):
        convert(nn.Linear(2, 2), SPACE, form="lowrank", rank=0)


@every_form
def test_drop_connect_drops_the_general_weights(form):
    """One mask a batch, drawn again here from the same seed; a low-rank response is not dropped."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"fc": nn.Linear(4, 5), "rnn": nn.LSTM(4, 5)}).double()
    model = convert(model, SPACE, form=form, dropout={"fc.weight": "b", "rnn.weight_hh": "b"}).train()
    with torch.no_grad():
        for p in response_parameters(model):
            p.copy_(0.3 * torch.randn_like(p))
    lams = torch.randn(B, 2).double()
    lams[:, 1] = lams[0, 1]
    rate = SPACE.values(lams, torch)["b"][0]
    x = torch.randn(B, 4).double()
    for path, leaf, given, plain in (
        ("fc", "weight", x, nn.Linear(4, 5).double()),
        ("rnn", "weight_hh_l0", x.expand(3, B, 4), nn.LSTM(4, 5).double()),
    ):
        layer = model[path]
        torch.manual_seed(1)
        with at(model, lams):
            out = layer(given)
        torch.manual_seed(1)
        own = layer.get_parameter(leaf)
        mask = keep_mask(tuple(own.shape), rate, own)
        assert 0 < (mask == 0).sum() < mask.numel()
        for i in range(B):
            w = layer.weights(lams[i])
            w[leaf] = w[leaf] - own + own * mask if form == "lowrank" else w[leaf] * mask
            axis = given.dim() - 2
            expected = torch.func.functional_call(plain, w, (given.narrow(axis, i, 1),))
            if path == "rnn":
                out_i, expected = out[0].narrow(axis, i, 1), expected[0]
            else:
                out_i = out.narrow(axis, i, 1)
            torch.testing.assert_close(out_i, expected, rtol=1e-10, atol=1e-12)


def test_a_gate_that_a_batch_norm_would_undo_is_the_norms():
    def net():
        return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))

    model = convert(net(), SPACE, form="gated")
    assert list(report(model).converted) == ["1", "2", "3", "4"]
    assert "batch norm" in report(model).left["0"] and type(model[0]) is nn.Conv2d
    assert "0" in report(convert(net(), SPACE, form="gated", exclude=["1"])).converted
    assert "0" in report(convert(net(), SPACE, form="lowrank")).converted


@every_form
def test_the_slope_at_lambda_itself_is_the_general_one(form):
    """With λ as its own centre the response is zero and only its slope is computed."""
    for name in MODELS:
        model, x = converted(name, form)
        lam = torch.randn(2).double().requires_grad_()
        slopes = []
        for centre in (lam.detach(), lam.detach().clone()):
            with at(model, lam, centre):
                out = model(x)
            pull = torch.linspace(-1, 1, out.numel()).double().view_as(out)
            slopes.append(torch.autograd.grad((out * pull).sum(), lam)[0])
        torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-9, atol=1e-11)
        assert slopes[0].abs().min() > 0


@every_form
def test_a_response_step_leaves_general_weights_without_gradients(form):
    for name in MODELS:
        model, x = converted(name, form)
        lams = torch.randn(B, 2).double()

        def slopes(model=model, x=x, lams=lams):
            with at(model, lams):
                return torch.autograd.grad(model(x).square().sum(), list(response_parameters(model)))

        expected = slopes()
        for p in general_parameters(model):
            p.requires_grad_(False)
        for a, b in zip(slopes(), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_sizes_of_the_response():
    def share(model):
        response, general = (
            sum(p.numel() for p in which(model)) for which in (response_parameters, general_parameters)
        )
        return response / general

    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    for make in (lambda: nn.Sequential(*hidden, nn.Linear(512, 10)), lambda: nn.LSTM(256, 256, 2)):
        assert share(convert(copy.deepcopy(make()), SPACE, form="lowrank")) < 0.1
        assert share(convert(copy.deepcopy(make()), SPACE, form="gated")) < 0.02
    assert convert(nn.Linear(64, 64), SPACE, form="lowrank", rank=5).response_gain.shape == (5, 2)
    assert convert(nn.Linear(3, 64), SPACE, form="lowrank").response_gain.shape == (6, 2)  # n directions of 3


@every_form
def test_time_first_and_flattened_batches(form):
    model, x = converted("mlp", form)
    x, lams = torch.randn(B, 6, 5).double(), torch.randn(B, 2).double()
    with at(model, lams):
        expected = model(x)
        with pytest.raises(UserError, match="set_batch_dim"):
            model(x.flatten(0, 1))
    set_batch_dim(model, 1)
    with at(model, lams):
        torch.testing.assert_close(model(x.transpose(0, 1)), expected.transpose(0, 1), rtol=1e-10, atol=1e-12)
    set_batch_dim(model, 0)
    with at(model, lams):
        torch.testing.assert_close(model(x.flatten(0, 1)), expected.flatten(0, 1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", ["lowrank", "gated"])
def test_a_packed_sequence_runs_at_the_centre_and_is_refused_elsewhere(form):
    rnn = convert(nn.LSTM(3, 4), SPACE, form=form)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    lam = torch.randn(2)
    with at(rnn, lam, lam):
        assert torch.equal(rnn(packed)[0].data, collapse(rnn, lam, lam)(packed)[0].data)
    with at(rnn, torch.randn(2, 2)), pytest.raises(UserError, match="packed"):
        rnn(packed)


@every_form
def test_autocast_takes_every_form(form):
    for name in MODELS:
        model, x = converted(name, form)
        if any(isinstance(m, nn.LSTM) for m in model.modules()) and not lstm_in_bfloat16():
            continue  # torch's own does not run here either
        model.float()
        x, lams = x.float() if x.is_floating_point() else x, 0.1 * torch.randn(B, 2)
        with at(model, lams):
            exact = model(x)
            with torch.autocast("cpu", torch.bfloat16):
                low = model(x)
                F.mse_loss(low.float(), exact).backward()
        assert (low.float() - exact).abs().max() < 0.1 * exact.abs().max() + 0.1


def test_layers_bound_by_hand_and_spaces_that_tune_nothing():
    none = SPACE.with_tuned([])
    for form in FORMS:
        model = nn.Sequential(nn.Linear(3, 3))
        assert type(convert(model, none, form=form)[0]) is nn.Linear
        dropped = convert(nn.Sequential(nn.Linear(3, 3)), none, form=form, dropout={"0.weight": "b"}).eval()
        x = torch.randn(2, 3)
        assert torch.equal(dropped(x), collapse(dropped, torch.zeros(0))(x))
        bind(convert(nn.Linear(2, 2), SPACE, form=form), SPACE)
