"""A layer's options survive the way to a hyper layer and back, whatever they are."""

from __future__ import annotations

import copy
import inspect

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    HyperChannelDropout,
    HyperDropout,
    at,
    convert,
    report,
    response_parameters,
)
from hyperopt_hn.nn.layers.kinds import FORMS, FULL  # noqa: E402
from hyperopt_hn.nn.layers.plain import Options  # noqa: E402
from tests.support.layer_cases import CASES  # noqa: E402

MADE = [
    nn.Linear(3, 4, bias=False),
    nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False, padding_mode="circular"),
    nn.Conv2d(4, 6, (3, 1), padding="same", padding_mode="reflect"),
    nn.Conv3d(2, 2, 3, padding=(1, 0, 2)),
    nn.Embedding(7, 4, padding_idx=2, scale_grad_by_freq=True, sparse=True),
    nn.LayerNorm((3, 4), eps=0.1, bias=False),
    nn.GroupNorm(2, 4, eps=0.1),
    nn.BatchNorm1d(4, eps=0.1, momentum=None),
    nn.BatchNorm2d(4, momentum=0.3),
    nn.BatchNorm3d(4, track_running_stats=False),
    nn.LSTM(3, 4, 2, bias=False, batch_first=True, dropout=0.3, bidirectional=True),
    nn.MultiheadAttention(4, 2, 0.2, bias=False, add_zero_attn=True, kdim=3, vdim=6),
    nn.MultiheadAttention(4, 2, add_bias_kv=True, batch_first=True),
]


@pytest.mark.parametrize("plain", MADE, ids=lambda layer: repr(layer).replace("\n", ""))
def test_there_and_back_with_all_options(plain):
    layer = FULL[type(plain)].from_plain(plain, Options(2))
    back = layer.plain()
    assert type(back) is type(plain) and repr(back) == repr(plain)
    assert {k: (v.shape, v.device.type) for k, v in back.state_dict().items()} == {
        k: (v.shape, "meta") for k, v in plain.state_dict().items()
    }
    for name, value in vars(plain).items():
        if isinstance(value, (bool, int, float, str, tuple, type(None))) and not name.startswith("_"):
            assert getattr(back, name) == value, name
    assert all(layer.get_parameter(name) is p for name, p in plain.named_parameters())


@pytest.mark.skipif("bias" not in inspect.signature(nn.BatchNorm2d).parameters, reason="torch has no such norm yet")
def test_a_norm_with_a_gain_and_no_offset_responds_by_parameter():
    model = convert(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, bias=False)), HyperSpace([Hyper("a", 0.3)]))
    assert report(model).converted["1"] == "BatchNorm2d, by parameter" and isinstance(model[1], nn.BatchNorm2d)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_can_be_asked_of_torchs_layer_can_be_asked_of_ours(case):
    """Code that reads `in_features` or calls `flatten_parameters` goes on working on a converted model."""
    layer, plain = case.make(2), case.plain()
    asked = [*vars(plain), *plain._parameters, *(["flatten_parameters"] if isinstance(plain, nn.LSTM) else [])]
    missing = [name for name in asked if not name.startswith("_") and not hasattr(layer, name)]
    assert not missing


@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_inputs_may_be_given_by_their_names(form):
    """As code may call torch's layer: layer(input=x)."""
    for kind, ours in FORMS[form].items():
        assert set(inspect.signature(kind.forward).parameters) <= set(inspect.signature(ours.forward).parameters), kind
    dropouts = {nn.Dropout: HyperDropout, nn.Dropout2d: HyperChannelDropout}
    for kind, ours in dropouts.items():
        assert inspect.signature(kind.forward).parameters.keys() == inspect.signature(ours.forward).parameters.keys()


@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_a_sparse_table_keeps_its_sparse_gradient_and_its_response_has_a_dense_one(form):
    """The response's optimizer is Adam, which takes no sparse gradients."""
    torch.manual_seed(0)
    space = HyperSpace([Hyper("a", 0.3)])
    model = convert(nn.Sequential(nn.Embedding(7, 4, sparse=True), nn.Linear(4, 2)), space, form=form, gain="stn")
    with at(model, torch.ones(3, 1)):
        model(torch.tensor([1, 2, 2])).square().sum().backward()
    assert model[0].weight.grad.is_sparse
    assert all(p.grad is None or not p.grad.is_sparse for p in response_parameters(model))


@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_to_a_memory_trains_bit_for_bit_as_torchs(form, batch_first):
    """Keys and values that are one tensor are projected by one product, whose gradient is rounded in its own way."""
    torch.manual_seed(0)
    plain = nn.MultiheadAttention(8, 2, batch_first=batch_first)
    layer = FORMS[form][nn.MultiheadAttention].from_plain(copy.deepcopy(plain), Options(0))
    query, memory = torch.randn(5, 3, 8), torch.randn(5, 3, 8)
    for attention in (plain, layer):
        attention(query, memory, memory, need_weights=False)[0].square().mean().backward()
    assert all(torch.equal(p.grad, layer.get_parameter(name).grad) for name, p in plain.named_parameters())
