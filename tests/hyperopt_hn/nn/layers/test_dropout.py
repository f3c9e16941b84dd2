"""Dropouts at a rate per example: the right rate, the right mean, the right mask; DropConnect and word types too."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    HyperChannelDropout,
    HyperDropout,
    HyperEmbedding,
    HyperLinear,
    HyperLockedDropout,
    HyperLSTM,
    HyperMultiheadAttention,
    LockedDropout,
    at,
    bind,
    convert,
    set_batch_dim,
)
from tests.support.layer_cases import randomised  # noqa: E402

SPACE = HyperSpace([Hyper("p", 0.3, 0, 1), Hyper("w", 0.4, 0, 1, shared=True)])
RATES = (0.05, 0.3, 0.8)


def raw(*rates: float) -> torch.Tensor:
    """λ rows at these rates of p; w at 0.4."""
    return torch.stack([torch.logit(torch.tensor([rate, 0.4])) for rate in rates])


def dropped(make: Any, space: HyperSpace = SPACE) -> Any:
    layer = make.train()
    bind(layer, space)
    return layer


@pytest.mark.parametrize(
    ("make", "shape", "axis"),
    [
        (lambda: HyperDropout("p"), (3, 40_000), 0),
        (lambda: HyperDropout("p", inplace=True), (3, 200, 200), 0),
        (lambda: HyperChannelDropout("p"), (3, 40_000, 2, 2), 0),
        (lambda: HyperChannelDropout("p", like=nn.Dropout1d), (3, 40_000, 2), 0),
        (lambda: HyperLockedDropout("p"), (2, 3, 40_000), 1),
        (lambda: HyperLockedDropout("p", batch_first=True), (3, 2, 40_000), 0),
    ],
)
def test_each_example_drops_at_its_own_rate_and_keeps_its_mean(make: Any, shape: tuple[int, ...], axis: int) -> None:
    torch.manual_seed(0)
    layer = dropped(make())
    with at(layer, raw(*RATES)):
        out = layer(torch.ones(shape)).movedim(axis, 0)
    for row, rate in zip(out, RATES, strict=True):
        sd = (rate * (1 - rate) / 40_000) ** 0.5
        assert abs(float((row == 0).double().mean()) - rate) < 5 * sd
        assert abs(float(row.double().mean()) - 1) < 5 * sd / (1 - rate)
        kept = row[row != 0]
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))
    layer.eval()
    x = torch.randn(shape)
    assert layer(x) is x  # no λ is needed outside training


def test_channels_and_time_steps_share_a_mask() -> None:
    with torch.no_grad():
        channel, locked = dropped(HyperChannelDropout("p")), dropped(HyperLockedDropout("p"))
        with at(channel, raw(*RATES)):
            out = channel(torch.ones(3, 50, 4, 4))
        assert torch.equal(out, out[:, :, :1, :1].expand_as(out)) and (out == 0).any()
        with at(locked, raw(*RATES)):
            out = locked(torch.ones(7, 3, 50))
        assert torch.equal(out, out[:1].expand_as(out)) and (out == 0).any()


def test_one_rate_for_all_and_time_first() -> None:
    torch.manual_seed(0)
    layer = dropped(HyperDropout("p"))
    with at(layer, raw(0.3)[0]):
        assert float((layer(torch.ones(100_000)) == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
    set_batch_dim(layer, 1)
    with at(layer, raw(*RATES)):
        out = layer(torch.ones(200, 3, 200))
        flat = layer(torch.ones(600, 200))
    for y in (out, flat.unflatten(0, (200, 3))):
        assert (y == 0).double().mean((0, 2)).tolist() == pytest.approx(RATES, abs=0.02)


@pytest.mark.parametrize(
    ("hyper", "plain", "shape"),
    [
        (HyperDropout("p"), nn.Dropout(0.3), (5, 6)),
        (HyperChannelDropout("p"), nn.Dropout2d(0.3), (5, 6, 2, 2)),
        (HyperChannelDropout("p", like=nn.Dropout3d), nn.Dropout3d(0.3), (5, 6, 2, 2, 2)),
        (HyperLockedDropout("p"), LockedDropout(0.3), (5, 6, 3)),
    ],
)
def test_an_untuned_rate_is_the_plain_layer_bit_for_bit(hyper: Any, plain: Any, shape: tuple[int, ...]) -> None:
    layer = dropped(hyper, SPACE.with_tuned([]))
    x = torch.randn(shape)
    torch.manual_seed(1)
    ours = layer(x)
    torch.manual_seed(1)
    assert torch.equal(ours, plain(x))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-6, 6), min_size=1, max_size=4), st.lists(st.integers(1, 3), max_size=3))
def test_no_gradient_reaches_a_rate(raws: list[float], middle: list[int]) -> None:
    layer = dropped(HyperDropout("p"))
    lam = torch.tensor([[r, 0.0] for r in raws], requires_grad=True)
    x = torch.randn(len(raws), *middle, 2, requires_grad=True)
    set_batch_dim(layer, 0)
    with at(layer, lam):
        out = layer(x)
    assert torch.isfinite(out).all()
    assert torch.autograd.grad(out.sum(), [x, lam], allow_unused=True)[1] is None


def test_dropconnect_masks_both_weights_alike_once_per_batch() -> None:
    torch.manual_seed(0)
    layer: Any = dropped(randomised(HyperLinear(60, 50, 2, bias=False)))
    layer.dropconnect = "w"
    lam = raw(*RATES)
    with at(layer, lam):
        jacobian = layer(torch.eye(60).expand(3, -1, -1)).transpose(1, 2)  # (3, out, in): each example's weights
        again = layer(torch.eye(60).expand(3, -1, -1)).transpose(1, 2)
    zero = jacobian == 0
    assert torch.equal(zero[0], zero[1]) and torch.equal(zero[0], zero[2])  # one mask for the batch
    assert float(zero[0].double().mean()) == pytest.approx(0.4, abs=0.05)
    assert not torch.equal(zero, again == 0)  # ... and a new one for the next
    for i in range(3):
        expected = torch.where(zero[i], 0.0, layer.weights(lam[i])["weight"] / 0.6)
        torch.testing.assert_close(jacobian[i], expected, rtol=1e-4, atol=1e-5)
    with at(layer, lam[0]):
        assert float((layer(torch.eye(60)) == 0).double().mean()) == pytest.approx(0.4, abs=0.05)
        layer.eval()
        torch.testing.assert_close(layer(torch.eye(60)).t(), layer.weights(lam[0])["weight"])


def test_a_rate_for_the_whole_batch_must_be_shared() -> None:
    layer: Any = dropped(HyperLinear(3, 3, 2))
    layer.dropconnect = "p"
    with at(layer, raw(*RATES)), pytest.raises(UserError, match="shared=True"):
        layer(torch.ones(3, 3))


def test_word_types_vanish_under_functional_call_too() -> None:
    space = HyperSpace([Hyper("rate", 0.5, 0.0, 0.9, shared=True)])
    table: Any = convert(nn.Sequential(nn.Embedding(40, 3)), space, dropout={"0": "rate"})
    lam, words = torch.zeros(1), torch.arange(40)
    given = {"0.weight": torch.ones(40, 3).requires_grad_()}
    with at(table, lam, lam):
        out = torch.func.functional_call(table, given, (words,))
    kept = out[:, 0] > 0
    assert 0 < int(kept.sum()) < 40 and torch.equal(out[~kept], torch.zeros_like(out[~kept]))
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / 0.55))  # the middle of 0 to .9


def test_word_types_vanish_for_the_whole_batch() -> None:
    torch.manual_seed(0)
    layer: Any = dropped(randomised(HyperEmbedding(500, 4, 2)))
    layer.dropout = "w"
    tokens, lam = torch.arange(500).expand(3, -1), raw(*RATES)
    with at(layer, lam):
        out = layer(tokens)
    zero = (out == 0).all(-1)
    assert torch.equal(zero[0], zero[1]) and float(zero[0].double().mean()) == pytest.approx(0.4, abs=0.1)
    kept = layer.weights(lam[1])["weight"][~zero[1]] / 0.6
    torch.testing.assert_close(out[1][~zero[1]], kept, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [0, 2])
def test_lstm_drops_between_layers_and_in_its_recurrence(n: int) -> None:
    space = SPACE if n else SPACE.with_tuned([])
    layer: Any = dropped(randomised(HyperLSTM(4, 5, n, num_layers=2)), space)
    x, lam = torch.randn(6, 3, 4), raw(*RATES) if n else torch.zeros(0)
    calm: Any = layer.eval()
    with at(layer, lam):
        expected = calm(x)[0]
    layer.train()
    for name, value in (("dropout_name", "p"), ("dropconnect", "w")):
        setattr(layer, name, value)
        with at(layer, lam):
            a, b = layer(x)[0], layer(x)[0]
        assert not torch.allclose(a, b) and not torch.allclose(a, expected)
        setattr(layer, name, None)
    with at(layer, lam):
        torch.testing.assert_close(layer(x)[0], expected)
    layer.dropconnect = layer.dropout_name = "w"
    with at(layer, lam[0] if n else lam):
        assert not torch.allclose(layer(x)[0], expected)


@pytest.mark.parametrize("shared", [False, True])
def test_attention_drops_its_weights_at_each_examples_rate(shared: bool) -> None:
    torch.manual_seed(0)
    layer: Any = dropped(HyperMultiheadAttention(8, 2, 2))
    layer.dropout_name = "p"
    q = torch.randn(60, 3, 8)
    with at(layer, raw(*RATES)[1] if shared else raw(*RATES)):
        _, weights = layer(q, q, q, average_attn_weights=False)
    assert weights.shape == (3, 2, 60, 60)
    rates = [RATES[1]] * 3 if shared else list(RATES)
    assert (weights == 0).double().mean((1, 2, 3)).tolist() == pytest.approx(rates, abs=0.03)
    assert weights.double().sum(-1).mean((1, 2)).tolist() == pytest.approx([1, 1, 1], abs=0.06)


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d, LockedDropout])
def test_the_rate_can_be_read_as_one_number(kind):
    space = HyperSpace([Hyper("rate", 0.3, 0.0, 0.8)])
    model = convert(nn.Sequential(nn.Linear(2, 2), kind(0.1)), space, dropout={"1": "rate"})
    assert model[1].p == pytest.approx(0.3)  # λ is unknown here: the start
    lam = torch.tensor([[0.0], [1.0], [-2.0]])
    with at(model, lam):
        assert model[1].p == pytest.approx(float(space.values(lam.numpy())["rate"].mean()))
    with at(model, lam[1]):
        assert model[1].p == pytest.approx(float(space.values(lam[1].numpy())["rate"]))
