"""The CNNs' hyperparameters: published names, ranges and starts, and which of them a network and images have."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.augment.pipeline import MOST_HOLES, NAMES  # noqa: E402
from deep.choice import TuningChoice, choose  # noqa: E402
from deep.cnn.hypers import RANGES, Setting, check_cutout, check_words, cnn_hypers, groups, words  # noqa: E402
from deep.cnn.networks import NETWORKS, AlexNet, ImageShape, dropout_names  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402


def setting(model="small", **kind):
    with torch.device("meta"):
        network = AlexNet(ImageShape(), True) if kind.get("ranges") == "delta" and model == "alexnet" else None
        network = network or NETWORKS[model](ImageShape())
    return Setting(model, dropout_names(network), **kind)


STN = {"dropout0": (0, 0.9, 0.05), "hue": (0, 0.5, 0.05), "contrast": (0, 1, 0.05), "sat": (0, 1, 0.05)}
STN |= {"bright": (0, 1, 0.05), "indropout": (0, 1, 0.05), "inscale": (0, 0.3, 0.05), "fcdropout1": (0, 0.9, 0.05)}
STN |= {"cutlength": (0, 24, 4), "cutholes": (0, 3, 1)}
DELTA = {"dropout5": (0, 0.95, 0.05), "fcdropout0": (0, 0.95, 0.05), "cutlength": (2, 24, 4), "cutholes": (0, 4, 1)}
DELTA |= {"degrees": (0, 45, 5), "shear": (0, 45, 5), "scale": (0, 0.5, 0.05), "translate": (0, 0.5, 0.05)}


@pytest.mark.parametrize(("ranges", "wanted"), [("stn", STN), ("delta", DELTA)])
def test_published_ranges_and_starts(ranges, wanted):
    table = {hyper.name: hyper for hyper in cnn_hypers(setting("alexnet", ranges=ranges))}
    assert {name: (table[name].low, table[name].high, table[name].init) for name in wanted} == wanted
    assert not any(hyper.shared for hyper in table.values()), "every one is perturbed example by example"


@pytest.mark.parametrize(
    ("model", "ranges", "group", "count"),
    [
        ("small", "stn", "stn", 11),
        ("alexnet", "stn", "stn", 15),
        ("alexnet", "delta", "delta", 18),
        ("vgg16", "delta", "delta", 26),
        ("alexnet", "stn", "all", 19),
        ("resnet18", "stn", "stn", 14),
    ],
)
def test_published_numbers(model, ranges, group, count):
    here = setting(model, ranges=ranges)
    space = choose(cnn_hypers(here), groups(here), TuningChoice(tune=group))
    assert space.n == count and len(set(space.names)) == count


def test_the_published_order():
    here = setting("alexnet")
    names = choose(cnn_hypers(here), groups(here), TuningChoice(tune="stn")).names
    conv = tuple(f"dropout{i}" for i in range(5))
    inner = ("hue", "contrast", "sat", "bright", "indropout", "inscale", "cutlength", "cutholes")
    assert names == (*conv, *inner, "fcdropout0", "fcdropout1")


@pytest.mark.parametrize("ranges", RANGES)
def test_patches_start_exactly_where_they_are_told_and_reach_every_value(ranges):
    table = {hyper.name: hyper for hyper in cnn_hypers(setting(ranges=ranges))}
    for name, start in (("cutlength", 4), ("cutholes", 1)):
        hyper = table[name]
        assert hyper.value(hyper.raw(hyper.init)) == start
        assert hyper.value(hyper.raw(start) + np.array([-1e-6, 1e-6])).tolist() == [start, start], "not at an edge"
        raws = np.linspace(-12.0, 12.0, 20_001)
        assert set(hyper.value(raws).tolist()) == set(range(int(hyper.low), int(hyper.high) + 1))
    assert table["cutholes"].high <= MOST_HOLES, "augmentation can make as many"


def test_a_patch_is_no_longer_than_the_image():
    for side, most in ((8, 8), (28, 24), (32, 24), (3, 3)):
        hyper = next(h for h in cnn_hypers(setting(side=side)) if h.name == "cutlength")
        assert (hyper.high, hyper.init) == (most, min(4, most))


def test_gray_images_have_no_colour():
    for channels, there in ((1, {"contrast", "bright"}), (3, {"hue", "contrast", "sat", "bright"}), (4, set())):
        here = setting(channels=channels)
        names = {hyper.name for hyper in cnn_hypers(here)}
        assert names & {"hue", "contrast", "sat", "bright"} == there == set(groups(here)["jitters"])
        assert names == set(groups(here)["all"])


@pytest.mark.parametrize("model", NETWORKS)
def test_groups_hold_names_that_are_there_and_that_act(model):
    here = setting(model)
    names = {hyper.name for hyper in cnn_hypers(here)}
    for group, members in groups(here).items():
        assert members and set(members) <= names, group
    assert names == {*here.dropouts, *NAMES} - {"flip", "crop"}, "each is a dropout or a strength of augmentation"


@pytest.mark.parametrize(
    ("word", "kind", "message"),
    [
        ("hue", {"channels": 1}, "gray images have no 'hue'"),
        ("sat", {"channels": 4}, "images of 4 channels have no 'sat'"),
        ("dropout3", {}, "'small' has no 'dropout3'; its dropouts are dropout0, dropout1, dropout2"),
        ("fcdropout0", {}, "has no 'fcdropout0'"),
    ],
)
def test_what_the_network_or_the_images_lack(word, kind, message):
    with pytest.raises(UserError, match=message):
        check_words([word], setting(**kind))
    check_words(["hue", "dropout2", "jitters", "nonsense"], setting())


def test_patches_need_a_length():
    with pytest.raises(UserError, match="add cutlength to --tune or to --fix"):
        check_cutout(["hue", "cutholes"])
    check_cutout(["cutlength"])
    check_cutout(["cutlength", "cutholes"])


def test_words_of_the_three_settings():
    assert words("stn, hue", "", "dropouts=0.3 ,sat=1") == ["stn", "hue", "dropouts", "sat"]
