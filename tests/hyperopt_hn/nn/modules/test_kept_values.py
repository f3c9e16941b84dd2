"""A value that a module keeps while it is evaluated belongs to one λ: the next λ gets one of its own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import SelfTuner, at, collapse, convert, response_parameters  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])


class Keeping(nn.Module):
    """As timm's LeViT: biases read out of a table, kept in a dictionary while the model is evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.biases = nn.Parameter(torch.randn(2, 3))
        self.constants = {"one": torch.ones(3)}
        self.cache: dict[str, torch.Tensor] = {}
        self.last: torch.Tensor | None = None
        self.state = torch.zeros(3)

    def train(self, mode: bool = True) -> Keeping:
        super().train(mode)
        if mode:
            self.cache = {}
        return self

    def bias(self) -> torch.Tensor:
        if self.training:
            return self.biases[:, [2, 0, 1]]
        if "bias" not in self.cache:
            self.cache["bias"] = self.biases[:, [2, 0, 1]]
        return self.cache["bias"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.state = self.state + 1
        self.last = y = self.linear(x) * self.constants["one"]
        return (y[:, None] + self.bias()).tanh().flatten(1)


def _net() -> nn.Module:
    torch.manual_seed(3)
    net = convert(Keeping(), SPACE)
    with torch.no_grad():
        for p in response_parameters(net):
            p.add_(0.2 * torch.randn_like(p))
    return net.eval()


@pytest.mark.parametrize("grad", [False, True])
def test_each_λ_has_its_own_value(grad: bool) -> None:
    net, x = _net(), torch.randn(5, 4)
    with torch.set_grad_enabled(grad):
        for lam in (torch.tensor([0.7]), torch.tensor([-1.2])):
            with at(net, lam):
                out = net(x)
            fresh = Keeping().eval()
            fresh.load_state_dict(collapse(net, lam).state_dict())
            torch.testing.assert_close(out, fresh(x), rtol=1e-5, atol=1e-6)


def test_only_what_was_made_inside_is_dropped() -> None:
    net, x = _net(), torch.randn(5, 4)
    with at(net, torch.tensor([0.7])):
        net(x)
        assert "bias" in net.cache
    assert net.cache == {} and net.last is None, "a value and a graph of one λ"
    assert list(net.constants) == ["one"] and float(net.state[0]) == float(net.train().state[0]) >= 1
    with at(net, torch.tensor([0.7])):
        net(x)
    assert net.last is not None, "a model in training keeps what it likes"


def test_a_second_backward_through_a_kept_value_is_not_asked_for() -> None:
    torch.manual_seed(3)
    tuner = SelfTuner(
        Keeping(),
        [Hyper("a", 0.1, 0.01, 0.9)],
        train_loss=lambda m, b, h: m(b).square().mean(1) * h["a"],
        valid_loss=lambda m, b: (m(b) - 1).square().mean(1),
    )
    for _ in range(3):
        tuner.train_step(torch.randn(5, 4))
        tuner.tune_step(torch.randn(5, 4))
    assert 0.01 < tuner.tuner.hypers()["a"] < 0.9
