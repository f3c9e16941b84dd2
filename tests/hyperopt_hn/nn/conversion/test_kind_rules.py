"""kinds=: which parameters of a class respond, and along which axis, is the user's word."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, report, response_parameters  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.5, 0.1, 0.9), Hyper("b", 0.5, 0.1, 0.9)])
B = 3


class Mixer(nn.Module):
    """Rows weighted by x @ weight: its units are the second axis."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(5))

    def forward(self, x):
        return x @ self.weight + self.bias


class Special(Mixer):
    """Of a class that has a rule."""


def made(kinds, form="lowrank"):
    torch.manual_seed(0)
    plain = nn.Sequential(Mixer(), nn.Tanh(), nn.Linear(5, 2)).double()
    model = convert(copy.deepcopy(plain), SPACE, form=form, kinds=kinds)
    for p in response_parameters(model):
        nn.init.normal_(p, 0.0, 0.3)
    return plain, model


@pytest.mark.parametrize("axis", [0, 1])
def test_a_parameter_is_scaled_along_the_axis_that_was_said_and_others_stay(axis):
    plain, model = made({Mixer: {"weight": axis}})
    x, lams = torch.randn(B, 4).double(), torch.randn(B, 2).double()
    scale = model[0].response_of_weight.detach()
    assert scale.shape == (plain[0].weight.shape[axis], 2) and not hasattr(model[0], "response_of_bias")
    with at(model, lams):
        rows = model(x)
    for i in range(B):
        twin = collapse(model, lams[i])
        gate = 1 + scale @ lams[i]
        wanted = plain[0].weight * (gate[:, None] if axis == 0 else gate[None])
        assert torch.allclose(twin[0].weight, wanted, atol=1e-12) and torch.equal(twin[0].bias, plain[0].bias)
        assert torch.allclose(rows[i], twin(x)[i], atol=1e-10)


def test_entry_by_entry_in_a_layer_of_the_table_too():
    plain, model = made({nn.Linear: {"bias": None}})
    assert report(model).converted["2"] == "Linear, by parameter" and isinstance(model[2], nn.Linear)
    assert report(model).responding == (25 + 2, 25 + 12) and report(model).left == {"2.weight": "kinds leaves it plain"}
    lam = torch.randn(2).double()
    twin = collapse(model, lam)
    assert torch.allclose(twin[2].bias, plain[2].bias + model[2].response_of_bias.detach() @ lam)
    assert torch.equal(twin[2].weight, plain[2].weight)


def test_the_nearest_class_counts_and_an_empty_rule_leaves_it():
    torch.manual_seed(0)
    model = convert(nn.Sequential(Special(), Mixer()), SPACE, kinds={Mixer: {}, Special: {"weight": 1}})
    assert list(report(model).converted) == ["0"] and set(report(model).left) == {"1", "0.bias"}


@pytest.mark.parametrize(
    "kinds, message",
    [
        ({Mixer: {"wieght": 0}}, "'wieght' of Mixer is none of its own parameters; it has weight, bias"),
        ({Mixer: {"weight": 2}}, r"'weight' of Mixer has no axis 2; its shape is \(4, 5\)"),
        ({nn.GRU: {}}, "GRU matches no module"),
        ({"Mixer": {}}, "maps classes of modules to rules"),
        ({Mixer: 0}, "maps classes of modules to rules"),
    ],
)
def test_a_rule_that_fits_nothing_is_refused_and_nothing_is_converted(kinds, message):
    plain = nn.Sequential(Mixer(), nn.Linear(5, 2))
    with pytest.raises(UserError, match=message):
        convert(plain, SPACE, kinds=kinds)
    assert type(plain[1]) is nn.Linear and type(plain[0]) is Mixer
