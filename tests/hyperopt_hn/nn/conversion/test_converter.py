"""convert and collapse on other people's models: function kept, parameters kept, ties kept, plain classes back."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn.utils import prune, spectral_norm, weight_norm  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    HyperChannelDropout,
    HyperDropout,
    HyperLinear,
    HyperLockedDropout,
    LockedDropout,
    at,
    bind,
    collapse,
    convert,
    general_parameters,
    report,
    response_parameters,
    set_batch_dim,
)
from hyperopt_hn.nn.context import hyper_layers  # noqa: E402
from hyperopt_hn.nn.conversion.copies import copy_of  # noqa: E402

SPACE = HyperSpace([Hyper("p", 0.3, 0, 1), Hyper("w", 0.4, 0, 1, shared=True)])
N, B = 2, 3


class Tied(nn.Module):
    """A user's language model: tied embedding and decoder, one block used twice, an own parameter, an own dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Embedding(11, 6)
        self.start = nn.Parameter(torch.randn(6))
        self.block = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.1))
        self.again = nn.ModuleDict({"same": self.block})
        self.decoder = nn.Linear(6, 11)
        self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.encoder(tokens) + self.start
        out: Tensor = self.decoder(self.again["same"](self.block(x)))
        return out


def stirred(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with a response that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in response_parameters(model):
            if p.shape[-1:] == (N,):
                p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    return model


def encoder(norm_first: bool = False) -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True, norm_first=norm_first)
    return nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), enable_nested_tensor=not norm_first)


def vision(name: str) -> nn.Module:
    torchvision = pytest.importorskip("torchvision")
    model: Any = getattr(torchvision.models, name)(num_classes=4)
    if name == "vgg11_bn":  # its 120 million weights of linear layers would make the test slow
        model.avgpool = nn.AdaptiveAvgPool2d(1)
        model.classifier = nn.Sequential(nn.Linear(512, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 4))
    return model  # type: ignore[no-any-return]


MODELS: dict[str, tuple[Any, Any]] = {
    "resnet18": (lambda: vision("resnet18"), lambda: torch.randn(B, 3, 32, 32)),
    "vgg11_bn": (lambda: vision("vgg11_bn"), lambda: torch.randn(B, 3, 32, 32)),
    "mobilenet_v3_small": (lambda: vision("mobilenet_v3_small"), lambda: torch.randn(B, 3, 32, 32)),
    "encoder": (encoder, lambda: torch.randn(B, 5, 8)),
    "encoder-norm-first": (lambda: encoder(True), lambda: torch.randn(B, 5, 8)),
    "tied": (Tied, lambda: torch.randint(0, 11, (B, 5))),
}
models = pytest.mark.parametrize("name", MODELS)


@models
def test_function_parameters_and_collapse(name: str) -> None:
    torch.manual_seed(0)
    make, inputs = MODELS[name]
    plain: nn.Module = make().eval()
    x, lam = inputs(), torch.randn(B, N)
    with torch.no_grad():
        expected = plain(x)
    model = convert(copy.deepcopy(plain), SPACE)
    with torch.no_grad(), at(model, lam):
        torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)
    stirred(model)
    with torch.no_grad(), at(model, lam):
        per_example = model(x)
    assert not torch.allclose(per_example, expected, rtol=1e-3)
    for i in range(B):
        single = collapse(model, lam[i])
        assert [type(m) for m in single.modules()] == [type(m) for m in plain.modules()]
        plain.load_state_dict(single.state_dict())
        with torch.no_grad(), at(model, lam[i]):
            torch.testing.assert_close(model(x), plain(x), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(per_example[i : i + 1], single(x[i : i + 1]), rtol=1e-4, atol=1e-5)
    with torch.no_grad():  # around a centre, λ there is the general network
        torch.testing.assert_close(collapse(model, lam[0], lam[0])(x), expected, rtol=1e-5, atol=1e-6)


@models
def test_parameters_stay_the_same_objects_in_two_groups(name: str) -> None:
    plain: nn.Module = MODELS[name][0]()
    before = dict(plain.named_parameters())
    optimizer = torch.optim.SGD(plain.parameters(), 0.1)
    model = convert(plain, SPACE)
    general = list(general_parameters(model))
    assert [id(p) for p in general] == [id(p) for p in before.values()]
    assert {id(p) for p in optimizer.param_groups[0]["params"]} == {id(p) for p in general}
    response = list(response_parameters(model))
    assert len(response) + len(general) == len(list(model.parameters()))
    assert not {id(p) for p in response} & {id(p) for p in general}
    fresh: nn.Module = MODELS[name][0]()
    assert model.load_state_dict(fresh.state_dict(), strict=False).unexpected_keys == []  # a plain checkpoint loads


def test_ties_and_shared_modules_survive() -> None:
    torch.manual_seed(0)
    model: Any = stirred(convert(Tied().eval(), SPACE))
    assert model.encoder.weight is model.decoder.weight
    assert model.encoder.response_weight is model.decoder.response_weight
    assert model.encoder.response_scale is model.decoder.response_scale
    assert model.block is model.again["same"] and isinstance(model.block[0], HyperLinear)
    lam = torch.randn(N)
    assert torch.equal(model.encoder.weights(lam)["weight"], model.decoder.weights(lam)["weight"])
    single: Any = collapse(model, lam)
    assert single.encoder.weight is single.decoder.weight and single.block is single.again["same"]
    copied: Any = Tied().eval()
    copied.load_state_dict(single.state_dict())
    tokens = torch.randint(0, 11, (B, 5))
    with at(model, lam):
        torch.testing.assert_close(copied(tokens), model(tokens))
        assert model(tokens).requires_grad


def test_tied_linears_and_ties_that_no_response_serves() -> None:
    pair = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    pair[1].weight = pair[0].weight
    pair[1].bias = pair[0].bias
    model: Any = stirred(convert(pair, SPACE))
    assert model[0].response_shift is model[1].response_shift
    single: Any = collapse(model, torch.randn(N))
    assert single[0].weight is single[1].weight and single[0].bias is single[1].bias
    odd = nn.ModuleList([nn.Linear(4, 4), nn.LayerNorm(4)])
    odd[1].bias = odd[0].bias
    with pytest.raises(UserError, match="no common response serves"):
        convert(odd, SPACE)


def test_report_says_what_and_why() -> None:
    class Own(nn.Linear):
        pass

    model = nn.ModuleDict(
        {
            "lin": nn.Linear(2, 2),
            "own": Own(2, 2),
            "gru": nn.GRU(2, 2),
            "normed": torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
            "hooked": nn.Linear(2, 2),
            "table": nn.Embedding(3, 2, max_norm=1.0),
            "projected": nn.LSTM(2, 3, proj_size=1),
            "drop": nn.Dropout(0.1),
            "skip": nn.Linear(2, 2),
            "bare": nn.BatchNorm1d(2, affine=False),
        }
    )
    model["hooked"].register_forward_hook(lambda *_: None)
    found = report(convert(model, SPACE, exclude=["skip"]))
    assert found.converted == {
        "lin": "HyperLinear",
        "own": "Own, by parameter",
        "gru": "GRU, by parameter",
        "projected": "LSTM, by parameter",
        "hooked": "Linear, by parameter",
        "normed": "ParametrizedLinear, by parameter",
        "normed.parametrizations.weight": "ParametrizationList, by parameter",
    }
    for name, reason in {
        "table": "max_norm",
        "drop": "dropout=",
        "skip": "excluded",
    }.items():
        assert reason in found.left[name], (name, found.left[name])
    assert "bare" not in found.left
    assert "lin: HyperLinear" in found.details and "skip: excluded" in found.details
    assert report(nn.Linear(2, 2)).converted == {}


def test_include_and_exclude() -> None:
    def made(**how: Any) -> set[str]:
        net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(4, 4)))
        return set(report(convert(net, SPACE, **how)).converted)

    assert made() == {"0", "1", "2.0", "2.1"}
    assert made(include=["2"]) == {"2.0", "2.1"}
    assert made(include=[nn.Conv2d]) == {"0", "2.0"}
    assert made(exclude=["2.*", nn.BatchNorm2d]) == {"0"}
    assert made(include="2", exclude=nn.Linear) == {"2.0"}
    with pytest.raises(UserError, match="'layer9' matches no module"):
        made(include=["layer9"])
    with pytest.raises(UserError, match="nothing to convert"):
        made(exclude=["*"])


def test_dropouts_by_name() -> None:
    def net() -> Any:
        return nn.ModuleDict(
            {
                "table": nn.Embedding(7, 4),
                "a": nn.Dropout(0.1),
                "b": nn.Dropout2d(0.1, inplace=True),
                "rnn": nn.LSTM(4, 4, 2, dropout=0.1),
                "attention": nn.MultiheadAttention(4, 2, dropout=0.1),
                "out": nn.Linear(4, 4),
            }
        )

    mapping = {"a": "p", "b": "p", "rnn": "p", "attention": "p", "table": "w", "rnn.weight_hh": "w", "out.weight": "w"}
    model: Any = convert(net(), SPACE, dropout=mapping)
    assert isinstance(model["a"], HyperDropout) and model["a"].name == "p"
    assert isinstance(model["b"], HyperChannelDropout) and model["b"].inplace
    assert model["rnn"].dropout_name == "p" and model["rnn"].dropconnect == "w"
    assert model["attention"].dropout_name == "p"
    assert model["table"].dropout == "w" and model["out"].dropconnect == "w"
    single: Any = collapse(model, torch.logit(torch.tensor([0.25, 0.4])))
    assert type(single["a"]) is nn.Dropout and single["a"].p == pytest.approx(0.25)
    assert type(single["b"]) is nn.Dropout2d and single["b"].p == pytest.approx(0.25)
    assert single["rnn"].dropout == pytest.approx(0.25) and single["attention"].dropout == pytest.approx(0.25)
    for bad, text in (({"zzz": "p"}, "matches nothing"), ({"a": "q"}, "no hyperparameter 'q'")):
        with pytest.raises(UserError, match=text):
            convert(net(), SPACE, dropout=bad)
    by_pattern: Any = convert(net(), SPACE, dropout={"*": "p"})
    assert by_pattern["rnn"].dropout_name == "p" and by_pattern["table"].dropout is None


def test_a_space_that_tunes_nothing_leaves_the_layers_plain() -> None:
    net = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.9), nn.Linear(50, 4))
    model: Any = convert(copy.deepcopy(net), SPACE.with_tuned([]), dropout={"1": "p", "2.weight": "w"})
    assert type(model[0]) is nn.Linear and model.state_dict().keys() == net.state_dict().keys()
    assert float((model[1](torch.ones(1, 10_000)) == 0).double().mean()) == pytest.approx(0.3, abs=0.03)
    with at(model, torch.zeros(0), values={"p": 0.5}):
        assert float((model[1](torch.ones(1, 10_000)) == 0).double().mean()) == pytest.approx(0.5, abs=0.03)
    untouched = convert(nn.Linear(2, 2), SPACE.with_tuned([]))
    assert type(untouched) is nn.Linear


def test_a_model_that_is_one_layer_and_a_model_converted_twice() -> None:
    model = convert(nn.Linear(2, 2), SPACE)
    assert isinstance(model, HyperLinear) and type(collapse(model, torch.zeros(N))) is nn.Linear
    with pytest.raises(UserError, match="already"):
        convert(model, SPACE)
    with pytest.raises(UserError, match="one batch"):
        convert(nn.Sequential(nn.LazyLinear(3)), SPACE)
    with pytest.raises(UserError, match="collapse takes one"):
        collapse(model, torch.zeros(B, N))


def test_collapse_leaves_the_model_alone_and_nothing_hyper_behind() -> None:
    model: Any = nn.Sequential(nn.LSTM(4, 4), HyperLockedDropout("p"))
    model = nn.ModuleList([convert(model[0], SPACE), model[1]]).train()
    bind(model, SPACE)
    before = copy.deepcopy(model.state_dict())
    single: Any = collapse(model, torch.logit(torch.tensor([0.25, 0.4])))
    assert next(hyper_layers(single), None) is None and single.training
    assert isinstance(single[1], LockedDropout) and single[1].p == pytest.approx(0.25)
    assert type(single[0]) is nn.LSTM and single[0]._flat_weights[0] is single[0].weight_ih_l0
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    for parameter in single.parameters():
        assert parameter.is_leaf and parameter.requires_grad


def test_encoder_reads_the_response_in_evaluation_too() -> None:
    torch.manual_seed(0)
    plain: Any = encoder().eval()
    model: Any = stirred(convert(copy.deepcopy(plain), SPACE, include=["layers.0.linear1"]))
    x, lam = torch.randn(B, 5, 8), torch.randn(N)
    padding = torch.tensor([[False] * 5, [False] * 4 + [True], [False] * 3 + [True] * 2])
    with torch.no_grad(), at(model, lam):
        assert not torch.allclose(model(x), plain(x), rtol=1e-3)
        with_grad_off = model(x, src_key_padding_mask=padding)
    with at(model, lam):
        torch.testing.assert_close(model(x, src_key_padding_mask=padding), with_grad_off)
    assert collapse(model, lam).layers[0].activation_relu_or_gelu == 1  # type: ignore[index,union-attr]


def test_a_time_first_encoder() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0)
    model: Any = stirred(convert(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), SPACE))
    set_batch_dim(model, 1)
    x, lam = torch.randn(5, B, 8), torch.randn(B, N)
    with at(model, lam):
        out = model(x)
    for i in range(B):
        torch.testing.assert_close(out[:, i : i + 1], collapse(model, lam[i])(x[:, i : i + 1]), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mlp", "resnet18"])
def test_compiled_models_agree(name: str) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)) if name == "mlp" else vision(name)
    model = stirred(convert(plain, SPACE)).eval()
    x = torch.randn(B, 8) if name == "mlp" else torch.randn(B, 3, 32, 32)
    compiled = torch.compile(model)
    for lam in (torch.randn(B, N, requires_grad=True), torch.randn(B, N, requires_grad=True)):
        grads = []
        for which in (model, compiled):
            with at(model, lam):
                loss = which(x).square().sum()
            grads.append((loss.detach(), *torch.autograd.grad(loss, lam)))
        torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_a_frozen_layer_stays_as_it_is(form):
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    net[0].requires_grad_(False)
    start = net[0].weight.clone()
    space = HyperSpace([Hyper("a", 0.1, 0.0, 0.9)])
    model = convert(net, space, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_()
    lam = torch.tensor([0.7])
    plain = collapse(model, lam, torch.zeros(1))
    assert torch.equal(plain[0].weight, start) and not plain[0].weight.requires_grad
    assert not torch.equal(plain[2].weight, net[2].weight)
    assert "weight, bias frozen" in report(model).left["0"] and "0" not in report(model).converted


@pytest.mark.filterwarnings("ignore::hyperopt_hn.nn.FewRespondWarning")
@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_a_layer_tied_to_one_that_cannot_respond_stays_with_it(form):
    net = nn.ModuleDict(
        {"table": nn.Embedding(9, 4, max_norm=1.0), "middle": nn.Linear(4, 4), "head": nn.Linear(4, 9, bias=False)}
    )
    net["head"].weight = net["table"].weight
    model = convert(net, SPACE, form=form)
    assert list(report(model).converted) == ["middle"]
    assert report(model).left["head"] == "it shares a parameter with 'table', which does not respond"
    twin = collapse(model, torch.tensor(SPACE.init(), dtype=torch.float32))
    assert twin["head"].weight is twin["table"].weight


def test_all_leaves_rates_of_zero_off_and_a_name_or_pattern_does_not():
    def net():
        return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.0), nn.Linear(4, 2), nn.Dropout(0.1))

    model = convert(net(), SPACE, dropout={"*": SPACE.names[0]})
    assert type(model[1]) is nn.Dropout and type(model[3]) is HyperDropout
    assert report(model).left["1"].startswith("its rate is 0.0, and no hyperparameter")
    for name in ("1", "[13]"):
        assert type(convert(net(), SPACE, dropout={name: SPACE.names[0]})[1]) is HyperDropout
    with pytest.raises(UserError, match=r"only rates that are 0 \(1\)"):
        convert(net()[:3], SPACE, dropout={"*": SPACE.names[0]})


@pytest.mark.filterwarnings("ignore::hyperopt_hn.nn.FewRespondWarning")
@pytest.mark.parametrize("wrap", [
    weight_norm, spectral_norm,
    lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_a_model_that_keeps_computed_weights_collapses_after_a_pass(wrap):
    torch.manual_seed(0)
    model = convert(nn.Sequential(wrap(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 2)), SPACE)
    lam, x = torch.tensor(SPACE.init(), dtype=torch.float32), torch.randn(5, 4)
    with at(model, lam):
        wanted = model(x)
        wanted.sum().backward()
        wanted = model.eval()(x).detach()
    torch.testing.assert_close(collapse(model, lam).eval()(x), wanted)


def test_a_layer_parametrized_after_convert_is_refused_by_name():
    model = convert(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), SPACE)
    nn.utils.parametrizations.weight_norm(model[1])
    with pytest.raises(UserError, match=r"layer '1' was parametrized .* after convert"):
        collapse(model, torch.zeros(SPACE.n))


@pytest.mark.filterwarnings("ignore::hyperopt_hn.nn.FewRespondWarning")
def test_complex_parameters_stay_plain_by_name():
    model = convert(nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64), nn.Linear(4, 2)), SPACE)
    assert dict(report(model).left) == {"0": "its parameters are complex, and λ is real"}
    assert type(model[0]) is nn.Linear and list(report(model).converted) == ["1"]


def test_a_tuned_dropout_without_a_layer_that_responds_is_refused():
    name = SPACE.tuned[0]
    with pytest.raises(UserError, match=r"no layer responds to λ.*'?0'?: max_norm rewrites its table"):
        convert(nn.Sequential(nn.Embedding(3, 2, max_norm=1.0), nn.Dropout(0.1)), SPACE, dropout={"*": name})


def test_a_sharded_model_is_refused_in_one_line():
    """As FSDP leaves it: a class of that name among the bases of a layer's class."""
    FSDPModule = type("FSDPModule", (), {})
    net = nn.Sequential(nn.Linear(4, 2))
    net[0].__class__ = type("FSDPLinear", (FSDPModule, nn.Linear), {})
    with pytest.raises(UserError, match=r"FSDP spreads.*DistributedDataParallel"):
        convert(net, SPACE)


def test_hooks_on_gradients_stay_with_a_copy():
    """A mask that keeps pruned weights at zero, and what is done once a gradient is there."""
    plain, seen = nn.Sequential(nn.Linear(3, 2)), []
    mask = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    plain[0].weight.register_hook(lambda grad: grad * mask)
    plain[0].bias.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    twin = copy_of(plain)
    x = torch.randn(4, 3)
    twin(x).sum().backward()
    assert plain[0].weight.grad is None and torch.allclose(twin[0].weight.grad, x.sum(0) * mask)
    assert len(seen) == 1 and torch.equal(seen[0], torch.full((2,), 4.0))


class Listed(nn.Module):
    """Layers that are children and are called by way of what torch does not look into."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.ways = [self.first, {"second": self.second}]
        self.last = (self.third,)

    def forward(self, x):
        return self.last[0](self.ways[1]["second"](self.ways[0](x)))


@pytest.mark.parametrize("form", ["full", "lowrank", "gated", "generic"])
def test_layers_in_a_list_a_dictionary_and_a_tuple_respond_and_collapse(form):
    torch.manual_seed(0)
    model = convert(Listed().double(), SPACE, form=form)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0.0, 0.5)
    x, h = torch.randn(B, 3).double(), torch.tensor([0.4, -0.3]).double()
    twin = collapse(model, h, h=h)
    assert twin.ways[0] is twin.first and twin.ways[1]["second"] is twin.second and twin.last[0] is twin.third
    by_hand = x
    for layer in (twin.first, twin.second, twin.third):
        by_hand = by_hand @ layer.weight.t() + layer.bias
    assert torch.allclose(twin(x), by_hand, atol=1e-12)
    with at(model, h, torch.zeros_like(h)):
        assert torch.allclose(model(x), by_hand, atol=1e-12)


def test_a_tie_that_nothing_serves_names_both_layers():
    plain = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    plain[1].bias = plain[0].bias
    with pytest.raises(UserError, match=r"'1' \(HyperLayerNorm\) and '0' \(HyperLinear\) share .*exclude=\['1', '0'\]"):
        convert(plain, SPACE)


@pytest.mark.parametrize("form", ["full", "gated", "generic"])
def test_what_has_no_code_or_no_parameters_is_refused_in_one_line(form):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(UserError, match=r"^a TorchScript module cannot respond"):
        convert(scripted, SPACE, form=form)
    with pytest.raises(UserError, match=r"nothing to convert: the model has no parameters$"):
        convert(nn.Sequential(nn.Tanh()), SPACE, form=form)


def test_a_traced_graph_whose_code_has_no_file_responds():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    model = convert(torch.fx.symbolic_trace(plain), SPACE, gain="stn")
    x, h = torch.randn(B, 3).double(), torch.tensor([0.4, -0.3]).double()
    with at(model, h, torch.zeros_like(h)):
        here = model(x)
    twin = collapse(model, h, h=h)
    first, last = (twin.get_submodule(name) for name in ("0", "2"))
    by_hand = (x @ first.weight.t() + first.bias).tanh() @ last.weight.t() + last.bias
    assert torch.allclose(here, by_hand, atol=1e-12) and not torch.allclose(here, plain(x), atol=1e-3)


@pytest.mark.parametrize("form", ["full", "lowrank", "gated", "generic"])
def test_a_model_in_evaluation_mode_stays_in_it(form):
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.RMSNorm(4)).eval()
    model = convert(plain, SPACE, dropout={"*": "p"}, form=form)
    assert not any(module.training for module in model.modules())
    twin = collapse(model, torch.zeros(N), torch.zeros(N))
    assert not any(module.training for module in twin.modules())


def test_what_implicit_tunes_is_collapsed_to_a_copy_of_itself():
    """A plain model has no response to fold in: the copy has its weights and shares none."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    twin = collapse(model, torch.zeros(1))
    x = torch.randn(5, 3)
    assert torch.equal(twin(x), model(x)) and twin is not model
    with torch.no_grad():
        twin[0].weight.zero_()
    assert not torch.equal(twin(x), model(x))
