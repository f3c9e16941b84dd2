"""The networks: published parameter counts, the sizes that fit, the dropouts' names and places."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from deep.cnn.networks import NETWORKS, VGG16, AlexNet, ImageShape, ResNet18, SmallCNN, dropout_names  # noqa: E402
from hyperopt_hn.errors import UserError  # noqa: E402
from tests.support.cnn_cases import count  # noqa: E402

ALL = pytest.mark.parametrize("name", NETWORKS)


def on_paper(kind, *arguments):
    """A network without memory for its parameters."""
    with torch.device("meta"):
        return kind(*arguments)


@pytest.mark.parametrize(
    ("name", "wanted"), [("small", 15_750), ("alexnet", 23_272_266), ("vgg16", 15_245_130), ("resnet18", 11_173_962)]
)
def test_parameter_counts(name, wanted):
    assert count(on_paper(NETWORKS[name], ImageShape())) == wanted


def units(network, skip=()):
    """Outputs of the layers that a self-tuning network gives a response."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    layers = {name: m for name, m in network.named_modules() if isinstance(m, kinds) and name not in skip}
    return layers, sum(layer.weight.shape[0] for layer in layers.values())


@pytest.mark.parametrize(
    ("kind", "skip", "hypers", "scalars", "wanted"),
    [
        (AlexNet, (), 15, 1, 46_825_160),
        (SmallCNN, ("fc",), 11, 1, 26_633),
        (AlexNet, (), 18, 0, 46_881_276),
        (VGG16, (), 26, 0, 30_763_676),
    ],
)
def test_the_published_self_tuning_counts_follow(kind, skip, hypers, scalars, wanted):
    """Each tuned layer twice, two numbers for each output and hyperparameter, STN's one scalar for each layer."""
    network = on_paper(kind)
    layers, outputs = units(network, skip)
    twice = sum(parameter.numel() for layer in layers.values() for parameter in layer.parameters())
    assert count(network) + twice + 2 * hypers * outputs + scalars * len(layers) == wanted


@ALL
@pytest.mark.parametrize(
    "shape", [ImageShape(), ImageShape(100), ImageShape(10, 1, 28), ImageShape(10, 1, 8), ImageShape(3, 4, 45)]
)
def test_forward_fits_or_says_so(name, shape):
    try:
        network = on_paper(NETWORKS[name], shape)
    except UserError as error:
        assert (name, shape.side) in {("alexnet", 8), ("vgg16", 8), ("vgg16", 28)}
        assert "--model small" in str(error) and "\n" not in str(error)
    else:
        images = torch.empty(2, shape.channels, shape.side, shape.side, device="meta")
        assert network(images).shape == (2, shape.classes)


def test_too_small_for_every_network():
    with pytest.raises(UserError, match="--model resnet18"):
        SmallCNN(ImageShape(side=7))
    for wrong in (ImageShape(0), ImageShape(10, 0), ImageShape(10, 3, 0)):
        for kind in NETWORKS.values():
            with pytest.raises(UserError, match="must be at least 1"):
                kind(wrong)


@pytest.mark.parametrize("side", range(15, 36))
def test_alexnet_at_odd_sides(side):
    assert on_paper(AlexNet, ImageShape(10, 3, side))(torch.empty(1, 3, side, side, device="meta")).shape == (1, 10)


def test_dropouts_bear_the_published_names():
    names = {name: dropout_names(on_paper(kind, ImageShape())) for name, kind in NETWORKS.items()}
    assert names["small"] == ("dropout0", "dropout1", "dropout2")
    assert names["alexnet"] == (*(f"dropout{i}" for i in range(5)), "fcdropout0", "fcdropout1")
    assert names["vgg16"] == (*(f"dropout{i}" for i in range(14)), "fcdropout0", "fcdropout1")
    assert names["resnet18"] == (*(f"dropout{i}" for i in range(5)), "fcdropout0")
    assert len(dropout_names(on_paper(AlexNet, ImageShape(), True))) == 8, "Delta-STN's numbering has the input's first"


@ALL
def test_dropouts_drop_nothing_until_a_rate_is_set(name):
    """In training mode, where only the dropouts are random: batch norm is put in evaluation mode."""
    torch.manual_seed(0)
    network = NETWORKS[name](ImageShape(10, 3, 32)) if name != "alexnet" else AlexNet(ImageShape(10, 3, 16))
    images = torch.rand(2, 3, 16 if name == "alexnet" else 32, 16 if name == "alexnet" else 32)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        plain = network(images)
        assert torch.equal(network(images), plain)
        for dropout in dropout_names(network):
            module = network.get_submodule(dropout)
            module.p = 0.5
            assert not torch.equal(network(images), plain), f"{dropout} acts"
            module.p = 0.0


def where(network, shape):
    """Name of each dropout -> the shape that reaches it."""
    seen = {}
    for name in dropout_names(network):
        network.get_submodule(name).register_forward_hook(
            lambda _, inputs, __, name=name: seen.update({name: tuple(inputs[0].shape[1:])})
        )
    network(torch.empty(1, *shape, device="meta"))
    return seen


def test_dropouts_stand_where_published():
    small, alex = where(on_paper(SmallCNN), (3, 32, 32)), where(on_paper(AlexNet), (3, 32, 32))
    assert small == {"dropout0": (10, 16, 16), "dropout1": (20, 8, 8), "dropout2": (40, 4, 4)}
    assert list(alex) == ["dropout0", "dropout1", "dropout2", "dropout3", "dropout4", "fcdropout0", "fcdropout1"]
    assert alex["dropout0"] == (64, 8, 8) and alex["dropout4"] == (256, 2, 2) and alex["fcdropout0"] == (1024,)
    vgg = where(on_paper(VGG16), (3, 32, 32))
    assert vgg["dropout0"] == (3, 32, 32) and vgg["dropout13"] == (512, 1, 1) and vgg["fcdropout1"] == (512,)
    other = where(on_paper(AlexNet, ImageShape(), True), (3, 32, 32))
    assert other["dropout0"] == (3, 32, 32) and other["dropout5"] == (256, 2, 2)
    assert where(on_paper(ResNet18), (3, 32, 32))["dropout4"] == (512, 4, 4)


def test_vgg_starts_as_published_and_keeps_its_signal():
    torch.manual_seed(0)
    network = VGG16()
    assert float(network.get_submodule("conv12").weight.detach().std()) == pytest.approx(
        math.sqrt(2 / (9 * 512)), rel=0.01
    )
    with torch.no_grad():
        x = torch.randn(2, 3, 32, 32)
        inner = []
        network.fc0.register_forward_pre_hook(lambda _, inputs: inner.append(inputs[0]))
        network(x)
    assert 0.05 < float(inner[0].std()) < 20.0


def test_pooling_before_the_relu_is_the_published_network():
    torch.manual_seed(0)
    network, images = SmallCNN().double(), torch.rand(2, 3, 32, 32, dtype=torch.float64)

    def published(x):
        for i in range(3):
            x = F.max_pool2d(F.relu(network.get_submodule(f"conv{i}")(x)), 2)
        return network.fc(x.flatten(1))

    outcomes = []
    for forward in (network, published):
        logits = forward(images)
        outcomes.append([logits, *torch.autograd.grad(logits.square().sum(), list(network.parameters()))])
    assert all(torch.equal(here, there) for here, there in zip(*outcomes, strict=True))


@pytest.mark.parametrize("name", ["small", "resnet18"])
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    network = NETWORKS[name](ImageShape(4, 3, 8))
    network(torch.rand(3, 3, 8, 8)).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
