"""What torch's functions do with a responding parameter: the innermost λ counts, unknown readings are told by name."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, response_parameters  # noqa: E402
from hyperopt_hn.nn.layers.by_parameter.reading import escapes  # noqa: E402

SPACE = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        return x @ self.weight + self.bias


class Contracted(Own):
    def forward(self, x):
        return torch.tensordot(x, self.weight, 1) + self.bias


def made(kind):
    torch.manual_seed(0)
    model = convert(kind(), SPACE)
    for p in response_parameters(model):
        nn.init.normal_(p)
    return model, torch.randn(3, 4)


def test_an_unknown_reading_is_told_by_name():
    model, x = made(Contracted)
    with at(model, torch.randn(1)):
        model(x)  # one λ for the batch is right whatever is computed
    told = pytest.raises(UserError, match=r"parameter 'weight' of a Contracted is read by 'tensordot'.*exclude")
    with told, at(model, torch.randn(3, 1)):
        model(x)
    with escapes() as found, at(model, torch.randn(3, 1)):
        model(x)
    assert [list(names) for names in found.values()] == [["weight"]]


def test_a_penalty_outside_the_model_reads_the_parameters_themselves():
    model, _ = made(Own)
    with at(model, torch.randn(3, 1)):
        total = sum(p.square().sum() for name, p in model.named_parameters() if "response" not in name)
    assert torch.equal(total, model.weight.square().sum() + model.bias.square().sum())


def test_nested_the_innermost_counts_and_nothing_stays():
    model, x = made(Own)
    one, rows = torch.randn(1), torch.randn(3, 1)
    twins = [collapse(model, row) for row in rows]
    before = dict(model._parameters)
    with at(model, one):
        with at(model, rows):
            inner = model(x)
            with at(model, one, one):
                still = model(x)
        outer = model(x)
    assert torch.allclose(inner, torch.stack([twin(x)[i] for i, twin in enumerate(twins)]), atol=1e-6)
    assert torch.allclose(outer, collapse(model, one)(x), atol=1e-6)
    assert torch.equal(still, x @ model.weight + model.bias)
    assert all(model._parameters[name] is p for name, p in before.items())
    with pytest.raises(RuntimeError), at(model, one):
        raise RuntimeError
    assert all(model._parameters[name] is p for name, p in before.items())


def test_a_compiled_model_answers_as_it_is_written():
    model, x = made(Own)
    compiled = torch.compile(model, backend="eager")
    for lam, centre in ((torch.randn(3, 1), None), (torch.randn(1), None), (torch.zeros(1),) * 2):
        with at(model, lam, centre):
            assert torch.equal(compiled(x), model(x))
