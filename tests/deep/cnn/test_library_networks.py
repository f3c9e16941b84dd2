"""torchvision's networks: they read these images, drop at the rates that are named, and tune themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

from deep.choice import TuningChoice  # noqa: E402
from deep.cnn import experiment  # noqa: E402
from deep.cnn.experiment import CNNSettings  # noqa: E402
from deep.cnn.library_networks import library_network  # noqa: E402
from deep.cnn.networks import ImageShape, dropout_names  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402
from tests.support.cnn_cases import made  # noqa: E402
from tests.support.image_cases import images  # noqa: E402


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "vit_b_16", "squeezenet1_1", "googlenet", "regnet_y_400mf"]
)
def test_it_reads_the_images_as_torchvisions_does(name, channels):
    with torch.device("meta"):
        network = library_network(f"torchvision:{name}", ImageShape(7, channels, 32))
        assert network(torch.empty(2, channels, 32, 32)).shape == (2, 7)
    assert all(network.get_submodule(path).p == 0.0 for path in dropout_names(network))


def test_gray_images_are_three_equal_colours():
    torch.manual_seed(0)
    network = library_network("torchvision:squeezenet1_1", ImageShape(4, 1, 32)).eval()
    gray = torch.rand(2, 1, 32, 32)
    assert torch.equal(network(gray), network.network(gray.repeat(1, 3, 1, 1)))


def test_its_dropouts_are_numbered_and_tuned():
    data = images(side=32)
    network = CNNSettings(model="torchvision:squeezenet1_1")
    config, space, tuner = made(data, network, choice=TuningChoice(tune="dropouts,hue"))
    assert space.tuned == ("dropout0", "hue")
    before = tuner.hypers()
    tuner.train_step()
    tuner.tune_step()
    assert tuner.hypers() != before and torch.isfinite(torch.tensor(tuner.evaluate()["valid_loss"]))
    x = torch.rand(8, 3, 32, 32)
    for init, acts in (("dropout0=0.3", True), ("hue=0.1", False)):
        choice = replace(config, choice=TuningChoice(tune="none", init=init))
        fixed = experiment.build_tuner(choice, data, experiment.space_of_config(choice, data)).collapsed().train()
        assert torch.equal(fixed(x), fixed(x)) is not acts, "the rate that is named acts; unnamed, it is off"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("torchvision:resnet81", "no torchvision network 'resnet81'; did you mean 'resnet18'"),
        ("torchvision:", "no torchvision network ''"),
        ("smal", "--model: no choice 'smal'; did you mean 'small'"),
    ],
)
def test_unknown_names_are_refused(model, message):
    with pytest.raises(UserError, match=message):
        CNNSettings(model=model)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(UserError, match=r"torchvision:alexnet cannot read images of 8 x 8 pixels .*choose another"):
        library_network("torchvision:alexnet", ImageShape(4, 3, 8))
