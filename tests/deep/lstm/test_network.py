"""The language model: the published sizes, torch's own LSTM where nothing responds, and masks where they belong."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.choice import TuningChoice, choose  # noqa: E402
from deep.lstm.experiment import GROUPS, HYPERS  # noqa: E402
from deep.lstm.network import LanguageModel, LSTMShape, rates  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, set_batch_dim  # noqa: E402
from tests.support.lstm_cases import lively  # noqa: E402
from tests.support.refusals import refused  # noqa: E402

V, D, T, B = 11, 6, 5, 4


def space(tune="all", fix="", init=""):
    return choose(HYPERS, GROUPS, TuningChoice(tune, fix, init, 1.0))


SMALL = LSTMShape(V, D)


def made(here, shape=SMALL, gain="stn"):
    torch.manual_seed(0)
    model = convert(LanguageModel(shape), here, exclude=["decoder"], gain=gain, dropout=rates(shape.layers, here.names))
    set_batch_dim(model, 1)
    return model


def tokens(seed=0):
    return torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(seed))


def rows(here, seed=0):
    return torch.as_tensor(here.init()).float() + torch.randn(B, here.n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("tune", "count"), [("none", 13_280_400), ("all", 26_700_950), ("dropouto", 26_572_250)])
def test_the_published_parameter_counts(tune, count):
    """Facts 2.1, counted on the published code; on the meta device, as nothing is computed."""
    with torch.device("meta"):
        model = made(space(tune), LSTMShape(10_000), gain="delta")
    assert sum(p.numel() for p in model.parameters()) == count


def test_without_response_and_dropout_it_is_torchs_own_lstm():
    """Issue 5: two layers of torch.nn.LSTM with the same weights, on the same embeddings."""
    here = space()
    model = made(here, gain="delta").eval()
    own = nn.LSTM(D, D, 2)
    with torch.no_grad():
        for k in range(2):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(own, f"{name}_l{k}").copy_(model.get_submodule(f"rnn{k}").get_parameter(f"{name}_l0"))
    ids = tokens()
    start = [torch.randn(2, B, D, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    state = tuple((start[0][k : k + 1], start[1][k : k + 1]) for k in range(2))
    want, (h, c) = own(model.encoder.weight[ids], tuple(start))
    for lam in (rows(here), rows(here)[0]):
        with at(model, lam):
            out, raw, last = model(ids, state)
        assert torch.equal(out, raw)
        assert torch.allclose(out, want, atol=1e-6)
        assert torch.allclose(torch.cat([s[0] for s in last]), h, atol=1e-6)
        assert torch.allclose(torch.cat([s[1] for s in last]), c, atol=1e-6)


def test_the_decoder_is_plain_and_tied_to_the_elementary_embedding_alone():
    model = made(space())
    assert type(model.decoder) is nn.Linear and model.decoder.weight is model.encoder.weight
    assert model.decoder.weight is not model.encoder.response_weight
    assert bool((model.decoder.bias == 0).all()) and float(model.encoder.weight.detach().abs().max()) <= 0.1
    model.decoder(torch.randn(2, D)).square().mean().backward()
    assert bool(model.encoder.weight.grad.any()) and model.encoder.response_weight.grad is None


def test_the_state_is_carried_as_one_long_pass():
    here = space()
    model = lively(made(here)).eval()
    ids, lam = torch.cat([tokens(0), tokens(1)]), rows(here)
    with at(model, lam):
        whole, _, end = model(ids)
        first, _, state = model(ids[:3])
        second, _, last = model(ids[3:], state)
    assert torch.allclose(torch.cat([first, second]), whole, atol=1e-6)
    assert all(
        torch.allclose(a, b, atol=1e-6) for x, y in zip(end, last, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("name", ["dropouti", "dropouto"])
def test_locked_masks_are_constant_in_time_and_of_each_examples_rate(name):
    """Facts 2.4: one mask for a sequence, (1, B, D), at the example's own rate."""
    here = space(name)
    size = 4000
    model = made(here, LSTMShape(V, 8))
    drop = model.get_submodule(name)
    lam = torch.tensor([[-3.0], [0.0], [1.0]])
    with at(model, lam):
        mask = drop(torch.ones(6, 3, size))
    assert torch.equal(mask, mask[:1].expand_as(mask))
    for row, raw in enumerate(lam[:, 0]):
        rate = torch.sigmoid(raw)
        zero = (mask[0, row] == 0).double().mean()
        assert float(zero) == pytest.approx(float(rate), abs=0.04)
        assert float(mask[0, row].max()) == pytest.approx(float(1 / (1 - rate)), rel=1e-5)


def test_hidden_dropout_stands_between_the_layers_and_output_dropout_behind_them():
    """At a rate of nearly one all that passes is the first layer's bias, or nothing."""
    for name in ("dropouth", "dropouto"):
        here = space("none", init=f"{name}=0.99999")
        model = made(here)
        out, raw, _ = model(tokens())
        other, _, _ = model(tokens(5))
        if name == "dropouto":
            assert bool((out == 0).all()) and bool((raw != 0).all())
        else:
            assert torch.equal(out, raw) and torch.equal(out, other) and bool((out != 0).all())


def test_embedding_dropout_takes_whole_word_types_with_one_mask_for_both_parts():
    """Facts 2.4: the same words vanish from E and from R, in every place and every stream."""
    here = space("dropoute", init="dropoute=0.4")
    model = lively(made(here))
    ids = torch.arange(V)[:, None].repeat(3, 4)
    with at(model, torch.as_tensor(here.init()).float() + torch.tensor([[0.1], [0.2], [0.3], [0.4]])):
        model.eval()
        whole = model.encoder(ids)
        model.train()
        for seed in range(20):
            torch.manual_seed(seed)
            got = model.encoder(ids)
            share = got / whole  # E and R under different masks would not share one factor
            assert torch.allclose(share, share[:, :1, :1].expand_as(share), rtol=1e-4)
            first = share[:V, 0, 0]
            assert torch.allclose(first.repeat(3), share[:, 0, 0])
            kept = 1 / (1 - torch.sigmoid(torch.logit(torch.tensor(0.4)) + 0.1))  # one mask: at the first row's rate
            assert torch.allclose(first[first != 0], kept, rtol=1e-4)
    drops = [float((model_mask(model, seed) == 0).double().mean()) for seed in range(200)]
    assert sum(drops) / len(drops) == pytest.approx(0.4, abs=0.04)


def model_mask(model, seed):
    torch.manual_seed(seed)
    with at(model, torch.logit(torch.tensor([0.4]))):
        out = model.encoder(torch.arange(V)[:, None])
    return out[:, 0, 0]


def test_dropconnect_drops_hidden_to_hidden_weights_once_a_batch():
    """A mask that changed within a pass would move a repeated input's fixed point; input weights are never dropped."""
    here = space("none", init="wdrop=0.5")
    model = made(here, LSTMShape(V, 64, 1))
    layer = model.get_submodule("rnn0")
    assert layer.dropconnect == "wdrop"
    x = torch.randn(1, 1, 64)
    start = (torch.randn(1, 1, 64), torch.zeros(1, 1, 64))
    zero = (torch.zeros(1, 1, 64), torch.zeros(1, 1, 64))
    with torch.no_grad():
        assert torch.equal(layer(x, zero)[0], layer(x, zero)[0])  # only W_hh is dropped, and h is zero here
        first, second = layer(x, start)[0], layer(x, start)[0]
        assert not torch.allclose(first, second)
        torch.manual_seed(3)
        long, _ = layer(x.expand(4, -1, -1), start)
        torch.manual_seed(3)
        mask = (torch.rand(256, 64) >= 0.5).float() * 2.0
        state, outs = start, []
        for _ in range(4):
            own = nn.LSTMCell(64, 64)
            own.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.named_parameters()})
            own.weight_hh.mul_(mask)
            state = tuple(s[None] for s in own(x[0], (state[0][0], state[1][0])))
            outs.append(state[0][0])
    assert torch.allclose(long, torch.stack(outs), atol=1e-6)


def test_dropconnect_masks_both_parts_alike():
    here = space("wdrop", init="wdrop=0.5")
    model = lively(made(here, LSTMShape(V, 8, 1)))
    layer = model.get_submodule("rnn0")
    lam = torch.as_tensor(here.init()).float()
    x, start = torch.randn(3, 2, 8), (torch.randn(1, 2, 8), torch.randn(1, 2, 8))
    torch.manual_seed(4)
    with at(model, lam.expand(2, -1)):
        out, _ = layer(x, start)
    torch.manual_seed(4)
    mask = (torch.rand(32, 8) >= 0.5).float() * 2.0
    plain = collapse(layer, lam)
    with torch.no_grad():
        plain.weight_hh_l0.mul_(mask)
        want, _ = plain(x, start)
    assert torch.allclose(out, want, atol=1e-5)


def test_rates_name_what_is_there():
    assert rates(2, ("wdrop", "alpha")) == {"rnn0.weight_hh": "wdrop", "rnn1.weight_hh": "wdrop"}
    assert rates(1, ()) == {}
    assert "each must be at least 1" in refused(LanguageModel, LSTMShape(0))
