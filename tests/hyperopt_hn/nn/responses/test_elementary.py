"""Elementary kernels give the fused ones' numbers, and the derivatives that those lack."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import SelfTuner, at, convert  # noqa: E402
from hyperopt_hn.nn.responses.delta import linearised  # noqa: E402
from hyperopt_hn.nn.responses.elementary import (  # noqa: E402
    attention,
    elementary_kernels,
    recurrent_backward,
    whole_precision,
)

F64 = {"dtype": torch.float64}
MASK = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) < 0.6
CASES = {
    "plain": {},
    "causal": {"is_causal": True},
    "scaled": {"scale": 0.3},
    "hidden": {"attn_mask": MASK},
    "added": {"attn_mask": torch.randn(4, 5, **F64)},
    "nothing to see": {"attn_mask": torch.zeros(4, 5, dtype=torch.bool)},
    "grouped": {"enable_gqa": True},
}


@pytest.mark.parametrize("case", CASES)
def test_attention_is_torchs(case):
    torch.manual_seed(0)
    heads = 1 if case == "grouped" else 2
    q, k, v = torch.randn(3, 2, 4, 6, **F64), torch.randn(3, heads, 5, 6, **F64), torch.randn(3, heads, 5, 7, **F64)
    wanted = F.scaled_dot_product_attention(q, k, v, **CASES[case])
    wanted = wanted.nan_to_num(0.0)  # rows that may see nothing: zero in some of torch's kernels, NaN in others
    torch.testing.assert_close(attention(q, k, v, **CASES[case]), wanted, rtol=1e-12, atol=1e-12)


def test_attention_drops_weights_at_its_rate():
    torch.manual_seed(0)
    q, k = torch.randn(50, 8, 4), torch.randn(50, 30, 4)
    seen = attention(q, k, torch.ones(50, 30, 1), dropout_p=0.4)
    assert abs(float(seen.mean()) - 1.0) < 0.03 and float(seen.std()) > 0.1


@pytest.mark.filterwarnings("ignore:.torch.jit.script")  # torch's own, at the first forward-mode pass
@pytest.mark.parametrize("direct", [True, False])
def test_second_derivatives_and_forward_mode_of_attention_exist_inside(direct):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(6, 2, batch_first=True, **F64)
    x = torch.randn(2, 4, 6, requires_grad=True, **F64)

    def loss(x):
        if direct:
            return F.scaled_dot_product_attention(x, x, x).square().sum()
        return layer(x, x, x, need_weights=False)[0].square().sum()

    with elementary_kernels(layer):
        assert torch.autograd.gradgradcheck(loss, (x,))
        step = torch.randn_like(x)
        _, moved = torch.func.jvp(loss, (x.detach(),), (step,))
    torch.testing.assert_close(moved, (torch.autograd.grad(loss(x), x)[0] * step).sum())


def test_recurrent_layers_go_backward_in_evaluation_mode_with_the_same_numbers():
    torch.manual_seed(0)
    net = nn.Sequential(nn.LSTM(3, 4, 2, dropout=0.5)).eval()
    x, modes = torch.randn(5, 2, 3), []
    plain = net(x)[0]
    with recurrent_backward(net):
        modes.append((net[0].training, net[0].dropout))
        assert torch.equal(net(x)[0], plain)
    assert modes == [(True, 0.0)] and (net[0].training, net[0].dropout) == (False, 0.5)
    net.train()
    with recurrent_backward(net):
        assert net[0].dropout == 0.5


def test_whole_precision_leaves_settings_as_they_were():
    before = torch.get_float32_matmul_precision(), copy.copy(torch.backends.cudnn.enabled)
    with whole_precision(torch.device("cpu")):
        pass
    assert before == (torch.get_float32_matmul_precision(), torch.backends.cudnn.enabled)


class Stepped(nn.Module):
    """A module whose operation has no derivative in forward mode."""

    def forward(self, x):
        class Own(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, grad):
                return grad * 2

        return Own.apply(x)


@pytest.mark.filterwarnings("ignore:.torch.jit.script")
def test_what_has_no_forward_mode_is_named_with_its_remedy():
    space = HyperSpace([Hyper("p", 0.3, 0.0, 0.9)])
    net = convert(nn.Sequential(nn.Linear(3, 3), nn.Sequential(Stepped())), space)
    nn.init.ones_(net[0].response_scale)
    lam = torch.tensor(space.init(), dtype=torch.float32)
    wanted = r"first-order pass fails in '1.0' \(Stepped\): .*response='split'"
    with pytest.raises(UserError, match=wanted), linearised(net, lam + torch.randn(4, 1), lam):
        net(torch.randn(4, 3))
    with pytest.raises(RuntimeError, match="of the model's own"), linearised(net, lam + torch.randn(4, 1), lam):
        raise RuntimeError("of the model's own")


@pytest.mark.parametrize("form", ["full", "lowrank"])
def test_a_row_that_may_see_nothing_is_zero_as_in_torchs_layer(form):
    torch.manual_seed(0)
    space = HyperSpace([Hyper("p", 0.3, 0.0, 0.9)])
    layer = nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True)
    x, hidden = torch.randn(3, 5, 4), torch.zeros(3, 5, dtype=torch.bool)
    hidden[0] = True
    model = convert(nn.ModuleList([layer]), space, dropout={"0": "p"}, form=form).train()
    with at(model, torch.randn(3, 1)):
        out = model[0](x, x, x, key_padding_mask=hidden, need_weights=False)[0]
    out.sum().backward()
    assert bool(out.isfinite().all()) and torch.allclose(out[0], out[0, :1].expand(5, -1))
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


class Overwriting(nn.Module):
    """It keeps a state while it is evaluated, and writes into it what a gradient needs."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 1)

    def forward(self, x):
        h = self.first(x).tanh()
        return self.last(h if self.training else h.mul_(2))


def test_what_is_written_over_is_told_in_one_line():
    torch.manual_seed(0)
    tuner = SelfTuner(
        Overwriting(),
        [Hyper("scale", 0.5, 0.1, 0.9)],
        train_loss=lambda m, b, h: m(b).square().mean(1) * h["scale"],
        valid_loss=lambda m, b: m(b).square().mean(1),
    )
    tuner.train_step(torch.randn(3, 4))
    with pytest.raises(UserError, match=r"writes in place over a value \[torch.FloatTensor \[3, 5\]\] .* clone"):
        tuner.tune_step(torch.randn(3, 4))
