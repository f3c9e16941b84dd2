"""Every hyper layer against torch's own: at no λ, at one λ, at a λ per example; gradients; first-order passes."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from torch.func import functional_call  # noqa: E402

from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    HyperBatchNorm2d,
    HyperConv2d,
    HyperEmbedding,
    HyperLayerNorm,
    HyperLinear,
    HyperLSTM,
    at,
    bind,
    set_batch_dim,
)
from tests.reference import nn_two_pass  # noqa: E402
from tests.support.layer_cases import CASES, F64, SPACE, B, Case, N, made, randomised  # noqa: E402

torch.manual_seed(0)
every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
responding = pytest.mark.parametrize("case", [c for c in CASES if "affineFalse" not in c.name], ids=lambda c: c.name)
close = {"rtol": 1e-10, "atol": 1e-12}


def materialised(case: Case, layer: Any, h: torch.Tensor) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """The plain layer with the hyper layer's buffers, and its parameters at h."""
    plain = case.plain().eval()
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "response_" not in k})
    weights = layer.weights(h)
    assert set(weights) == {name for name, _ in plain.named_parameters()}
    return plain, weights


@every
def test_without_tuned_hyperparameters_it_is_the_plain_layer_bit_for_bit(case: Case) -> None:
    layer, plain = made(case, n=0), case.plain()
    plain.load_state_dict(layer.state_dict())  # the same names and shapes, both ways
    layer.load_state_dict(plain.state_dict())
    assert [(k, p.shape) for k, p in layer.named_parameters()] == [(k, p.shape) for k, p in plain.named_parameters()]
    inputs = case.inputs(B)
    for training in (True, False):
        assert torch.equal(case.call(layer.train(training), inputs), case.call(plain.train(training), inputs))
    assert layer.state_dict().keys() == plain.state_dict().keys()
    for a, b in zip(layer.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@responding
@pytest.mark.parametrize("training", [False, True])
def test_at_zero_gain_and_at_the_centre_it_is_the_plain_layer(case: Case, training: bool) -> None:
    layer = made(case, gain=0)
    plain, _ = materialised(case, layer, torch.zeros(N, **F64))
    inputs, lam = case.inputs(B), torch.randn(B, N, **F64)
    expected = case.call(plain.train(training), inputs)
    layer.train(training)
    with at(layer, lam):
        torch.testing.assert_close(case.call(layer, inputs), expected, **close)
    randomised(layer, 1)
    here = lam[0]
    with at(layer, here, here):
        plain, _ = materialised(case, layer, torch.zeros(N, **F64))
        ours, theirs = case.call(layer, inputs), case.call(plain.train(training), inputs)
        assert torch.equal(ours, theirs)


@responding
def test_a_lambda_per_example_gives_each_example_its_own_weights(case: Case) -> None:
    layer, inputs, lam = made(case), case.inputs(B), torch.randn(B, N, **F64)
    with at(layer, lam):
        out = case.call(layer, inputs)
    for i in range(B):
        plain, weights = materialised(case, layer, lam[i])
        expected = functional_call(plain, weights, case.one(inputs, i), dict(case.options))
        expected = expected[0] if isinstance(expected, tuple) else expected
        torch.testing.assert_close(out.narrow(case.axis, i, 1), expected, **close)


@responding
def test_one_lambda_for_all_is_the_plain_layer_with_the_weights_there(case: Case) -> None:
    layer, inputs, lam = made(case), case.inputs(B), torch.randn(N, **F64)
    plain, weights = materialised(case, layer, lam)
    expected = functional_call(plain, weights, inputs, dict(case.options))
    expected = expected[0] if isinstance(expected, tuple) else expected
    with at(layer, lam):
        torch.testing.assert_close(case.call(layer, inputs), expected, **close)
    with at(layer, lam.expand(B, -1)):
        torch.testing.assert_close(case.call(layer, inputs), expected, **close)
    with torch.no_grad(), at(layer, lam):
        first = case.call(layer, inputs)
        assert torch.equal(first, case.call(layer, inputs))  # the merged weights are kept for the block
        torch.testing.assert_close(first, expected, **close)
        randomised(layer, 2)  # ... but not past a change of the parameters
        assert not torch.allclose(first, case.call(layer, inputs))


@responding
def test_gradients_are_those_of_the_materialised_layers(case: Case) -> None:
    layer, inputs = made(case), case.inputs(B)
    lam = torch.randn(B, N, requires_grad=True, **F64)
    parameters = list(layer.parameters())
    with at(layer, lam):
        out = case.call(layer, inputs)
    pull = torch.randn_like(out)
    ours = torch.autograd.grad((out * pull).sum(), [lam, *parameters], allow_unused=True)
    total = torch.zeros((), **F64)
    for i in range(B):
        plain, weights = materialised(case, layer, lam[i])
        y = functional_call(plain, weights, case.one(inputs, i), dict(case.options))
        y = y[0] if isinstance(y, tuple) else y
        total = total + (y * pull.narrow(case.axis, i, 1)).sum()
    theirs = torch.autograd.grad(total, [lam, *parameters], allow_unused=True)
    if "scale_grad_by_freq" in case.name:  # counts tokens over the batch, which the loop does not have
        return
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@responding
@pytest.mark.filterwarnings("ignore:.torch.jit.script")  # torch's own, at the first dual number
@pytest.mark.parametrize("rows", [True, False])
def test_the_first_order_pass_is_the_jacobian_times_the_step(case: Case, rows: bool) -> None:
    layer, inputs = made(case), case.inputs(B)
    centre = torch.randn(N, **F64)
    step = torch.randn(B, N, **F64) if rows else torch.randn(N, **F64)
    motion = {k: torch.randn_like(x) for k, x in enumerate(inputs[:1]) if x.is_floating_point()}
    with forward_ad.dual_level(), at(layer, centre + step, centre, tangent=True):
        moving = inputs
        if motion and len({id(x) for x in inputs}) == 1:
            moving = (forward_ad.make_dual(inputs[0], motion[0]),) * len(inputs)
        elif motion:
            moving = (forward_ad.make_dual(inputs[0], motion[0]), *inputs[1:])
        primal, tangent = forward_ad.unpack_dual(case.call(layer, moving))

    def shifted(t: float) -> torch.Tensor:
        same = len({id(x) for x in inputs}) == 1
        first = inputs[0] + t * motion[0] if motion else inputs[0]
        with torch.no_grad(), at(layer, centre + t * step, centre):
            return case.call(layer, (first,) * len(inputs) if same else (first, *inputs[1:]))

    torch.testing.assert_close(primal, shifted(0.0), **close)
    torch.testing.assert_close(tangent, (shifted(1e-5) - shifted(-1e-5)) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name in ("linear-biasTrue", "lstm-stateFalse-", "embedding-0-")]
)
def test_gradcheck(case: Case) -> None:
    layer, inputs = made(case), case.inputs(2)
    lam = torch.randn(2, N, requires_grad=True, **F64)
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(lam: torch.Tensor, *parameters: torch.Tensor) -> Any:
        with at(layer, lam):
            out = functional_call(layer, dict(zip(names, parameters, strict=True)), inputs)
        return (out[0], *out[1]) if isinstance(out, tuple) else out

    assert torch.autograd.gradcheck(run, (lam, *values))


def test_layers_agree_with_the_obvious_two_passes() -> None:
    lam = torch.randn(B, N, **F64)
    for case, obvious in (
        (CASES[0], nn_two_pass.linear),
        (next(c for c in CASES if c.name.startswith("conv2d-paddingsame-groups")), nn_two_pass.conv2d),
        (next(c for c in CASES if c.name == "lstm-stateFalse-"), nn_two_pass.lstm),
    ):
        layer, inputs = made(case), case.inputs(B)
        with at(layer, lam):
            torch.testing.assert_close(case.call(layer, inputs), obvious(layer, *inputs, lam), **close)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.lists(st.integers(1, 3), max_size=2))
def test_linear_of_any_shape(batch: int, fan_in: int, fan_out: int, bias: bool, middle: list[int]) -> None:
    layer: Any = randomised(HyperLinear(fan_in, fan_out, N, bias, **F64))
    x, lam = torch.randn(batch, *middle, fan_in, **F64), torch.randn(batch, N, **F64)
    set_batch_dim(layer, 0)
    with at(layer, lam):
        y = layer(x)
    for i in range(batch):
        w = layer.weights(lam[i])
        torch.testing.assert_close(y[i], nn.functional.linear(x[i], w["weight"], w.get("bias")), **close)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 2), st.sampled_from([1, 3]), st.integers(1, 2), st.integers(0, 2), st.booleans()
)
def test_conv_of_any_shape(batch: int, groups: int, kernel: int, stride: int, padding: int, bias: bool) -> None:
    layer: Any = HyperConv2d(2, 4, kernel, N, stride, padding, groups=groups, bias=bias, **F64)
    randomised(layer)
    x, lam = torch.randn(batch, 2, 5, 4, **F64), torch.randn(batch, N, **F64)
    with at(layer, lam):
        y = layer(x)
    for i in range(batch):
        w = layer.weights(lam[i])
        own = nn.functional.conv2d(x[i : i + 1], w["weight"], w.get("bias"), stride, padding, 1, groups)
        torch.testing.assert_close(y[i : i + 1], own, **close)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_lstm_of_any_shape(steps: int, batch: int, fan_in: int, size: int, deep: bool) -> None:
    layer: Any = randomised(HyperLSTM(fan_in, size, N, 1 + deep, **F64))
    x, lam = torch.randn(steps, batch, fan_in, **F64), torch.randn(batch, N, **F64)
    with at(layer, lam):
        y, (h, c) = layer(x)
    for depth in range(1 + deep):
        x, last = nn_two_pass.lstm_steps(layer, x, lam, depth)
        torch.testing.assert_close((h[depth], c[depth]), last, **close)
    torch.testing.assert_close(y, x, **close)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(0, 3), max_size=2), st.integers(1, 4), st.integers(1, 4))
def test_embedding_and_norm_of_any_shape(batch: int, middle: list[int], words: int, size: int) -> None:
    table: Any = randomised(HyperEmbedding(words, size, N, **F64))
    norm: Any = randomised(HyperLayerNorm(size, N, **F64))
    tokens, lam = torch.randint(0, words, (batch, *middle)), torch.randn(batch, N, **F64)
    set_batch_dim(table, 0)
    set_batch_dim(norm, 0)
    with at(table, lam), at(norm, lam):
        rows = table(tokens)
        normed = norm(rows)
    for i in range(batch):
        torch.testing.assert_close(rows[i], table.weights(lam[i])["weight"][tokens[i]], **close)
        w = norm.weights(lam[i])
        torch.testing.assert_close(
            normed[i], nn.functional.layer_norm(rows[i], (size,), w["weight"], w["bias"]), **close
        )


def test_batch_norm_in_training_shares_statistics_and_keeps_them_as_torch_does() -> None:
    for momentum in (0.3, None):
        layer: Any = randomised(HyperBatchNorm2d(4, N, momentum=momentum, **F64)).train()
        plain = nn.BatchNorm2d(4, momentum=momentum, **F64).train()
        plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "response_" not in k})
        lam = torch.randn(B, N, **F64)
        for _ in range(3):
            x = torch.randn(B, 4, 3, 3, **F64)
            plain(x)
            xhat = nn.functional.batch_norm(x, None, None, training=True)
            with at(layer, lam):
                y = layer(x)
            for i in range(B):
                w = layer.weights(lam[i])
                expected = xhat[i] * w["weight"][:, None, None] + w["bias"][:, None, None]
                torch.testing.assert_close(y[i], expected, **close)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            assert torch.equal(getattr(layer, name), getattr(plain, name))


def test_time_first_and_flattened_inputs() -> None:
    layer: Any = randomised(HyperLinear(4, 5, N, **F64))
    table: Any = randomised(HyperEmbedding(7, 4, N, **F64))
    x, lam = torch.randn(B, 6, 4, **F64), torch.randn(B, N, **F64)
    tokens = torch.randint(0, 7, (B, 6))
    with at(layer, lam), at(table, lam):
        expected, rows = layer(x), table(tokens)
        with pytest.raises(UserError, match="set_batch_dim"):
            layer(x.flatten(0, 1))
        with pytest.raises(UserError, match="3 rows and a layer's input 4"):
            layer(torch.randn(4, 4, **F64))
        with pytest.raises(UserError, match="batch dimension"):
            layer(x[0, 0])
    for model in (layer, table):
        set_batch_dim(model, 0)
    with at(layer, lam), at(table, lam):
        torch.testing.assert_close(layer(x.flatten(0, 1)), expected.flatten(0, 1), **close)
        torch.testing.assert_close(table(tokens.flatten()), rows.flatten(0, 1), **close)
    for model in (layer, table):
        set_batch_dim(model, 1)
    turned = x.transpose(0, 1)
    with at(layer, lam), at(table, lam):
        torch.testing.assert_close(layer(turned), expected.transpose(0, 1), **close)
        torch.testing.assert_close(layer(turned.flatten(0, 1)), expected.transpose(0, 1).flatten(0, 1), **close)
        torch.testing.assert_close(table(tokens.t()), rows.transpose(0, 1), **close)


def test_gains() -> None:
    for gain, low, high in (("delta", 0.0, 0.0), ("stn", 0.008, 0.012)):
        layer = HyperLinear(50, 40, 20, gain=gain)  # type: ignore[arg-type]
        assert low <= float(layer.response_scale.detach().std()) <= high
        assert float(layer.response_weight.detach().abs().max()) <= 50**-0.5
        assert float(layer.response_weight.detach().std()) > 0.05
    with pytest.raises(UserError, match="'delta'"):
        HyperLinear(2, 2, 1, gain="big")  # type: ignore[arg-type]


def test_what_layers_refuse() -> None:
    with pytest.raises(UserError, match="max_norm"):
        HyperEmbedding(3, 2, 1, max_norm=1.0)
    with pytest.raises(UserError, match="proj_size"):
        HyperLSTM(3, 4, 1, proj_size=2)
    packed = nn.utils.rnn.pack_sequence([torch.randn(3, 3)])
    with pytest.raises(UserError, match="packed"):
        HyperLSTM(3, 4, 0)(packed)
    layer = HyperLSTM(3, 4, N)
    with at(layer, torch.zeros(2, N)), pytest.raises(UserError, match="batch dimension"):
        layer(torch.randn(5, 3))


def test_an_unbatched_sequence_at_one_lambda() -> None:
    layer: Any = randomised(HyperLSTM(4, 5, N, num_layers=2, **F64))
    x, lam = torch.randn(6, 4, **F64), torch.randn(N, **F64)
    with at(layer, lam):
        alone, (h, _) = layer(x)
        batched, (hb, _) = layer(x.unsqueeze(1))
    assert alone.shape == (6, 5) and h.shape == (2, 5)
    torch.testing.assert_close(alone, batched.squeeze(1))
    torch.testing.assert_close(h, hb.squeeze(1))


def test_half_precision_layers_keep_lambda_whole() -> None:
    layer: Any = randomised(HyperLinear(8, 6, N))
    x, lam = torch.randn(B, 8), torch.randn(B, N, requires_grad=True)
    with at(layer, lam):
        exact = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            low = layer(x)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), exact, rtol=0.05, atol=0.05)
    half = layer.to(torch.bfloat16)
    with at(half, lam):
        half(x.to(torch.bfloat16)).float().sum().backward()
    assert lam.grad is not None and lam.grad.dtype == torch.float32


def test_repr_names_what_matters() -> None:
    for case in CASES:
        assert f"num_hyper={N}" in repr(made(case))
    assert SPACE.n == N
    bind(HyperLinear(2, 2, 0), SPACE)
