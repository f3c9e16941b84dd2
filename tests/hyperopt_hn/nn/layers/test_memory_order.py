"""Channels-last changes no number: convolutions, norms and channel dropouts at one λ per example."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import at, convert  # noqa: E402
from hyperopt_hn.nn.layers.affine_response import widened  # noqa: E402

LAST = torch.channels_last
SPACE = HyperSpace([Hyper("p", 0.3, 0, 1), Hyper("q", 0.2, 0, 1)])


def outcome(last, shared):
    """The output, λ's gradient and the parameters' gradients of a small network in training mode."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 4, 3),
        nn.GroupNorm(2, 4),
        nn.Dropout2d(0.0),
        nn.Conv2d(4, 5, 3, bias=False),
        nn.BatchNorm2d(5),
    )
    model = convert(nn.Sequential(*layers), SPACE, gain="stn", dropout={"2": "p"}).double()
    x = torch.randn(6, 3, 8, 7, dtype=torch.float64)
    if last:
        model, x = model.to(memory_format=LAST), x.contiguous(memory_format=LAST)
    lam = torch.randn(2 if shared else (6, 2), dtype=torch.float64, requires_grad=True)
    torch.manual_seed(1)
    with at(model, lam):
        y = model(x)
    y.square().sum().backward()
    assert last == y.is_contiguous(memory_format=LAST)
    return [y, lam.grad, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("shared", [False, True])
def test_channels_last_is_the_same_network(shared):
    for here, there in zip(outcome(True, shared), outcome(False, shared), strict=True):
        assert torch.allclose(here, there, rtol=1e-10, atol=1e-12)


def test_rows_are_widened_where_it_pays():
    rows, y = torch.rand(2, 3, 1, 1), torch.rand(2, 3, 4, 5)
    assert widened(rows, y) is rows and widened(rows, y[:, :, 0, 0]) is rows
    wide = widened(rows, y.contiguous(memory_format=LAST))
    assert wide.shape == (2, 3, 1, 5) and wide.is_contiguous(memory_format=LAST)
    assert torch.equal(wide * y, rows * y)
    assert widened(rows, torch.rand(2, 1, 4, 5).contiguous(memory_format=LAST)) is rows, "one channel has no order"
