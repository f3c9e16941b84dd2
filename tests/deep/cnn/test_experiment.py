"""Self-tuning CNNs: published sizes, plain networks where nothing is tuned, clean validation, own strengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.choice import TuningChoice, choose  # noqa: E402
from deep.cnn import experiment  # noqa: E402
from deep.cnn.experiment import CNNSettings  # noqa: E402
from deep.cnn.hypers import Setting, cnn_hypers, groups  # noqa: E402
from deep.cnn.networks import NETWORKS, ImageShape, dropout_names  # noqa: E402
from deep.machine import Machine  # noqa: E402
from deep.training import Descent, Method, Span  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn.context import hyper_layers  # noqa: E402
from tests.support.cnn_cases import count, made  # noqa: E402
from tests.support.image_cases import images  # noqa: E402


@pytest.mark.parametrize(
    ("model", "ranges", "published", "scalars"),
    [
        ("alexnet", "stn", 46_825_160, 8),
        ("small", "stn", 26_633, 3),
        ("alexnet", "delta", 46_881_276, 0),
        ("vgg16", "delta", 30_763_676, 0),
    ],
)
def test_published_parameter_counts(model, ranges, published, scalars):
    """STN's code also learns one scalar for each layer, by which it multiplies the elementary part; ours does not."""
    network = CNNSettings(model=model, ranges=ranges)
    with torch.device("meta"):
        plain = experiment.plain_network(network, ImageShape())
        here = Setting(model, dropout_names(plain), ranges=ranges)
        space = choose(cnn_hypers(here), groups(here), TuningChoice(tune=ranges))
        tuned = experiment.self_tuning(network, ImageShape(), space, ranges)
    assert count(tuned) == published - scalars
    assert [name for name, _ in tuned.named_parameters() if "response" not in name] == [
        name for name, _ in plain.named_parameters()
    ]


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("fix", ["", "dropouts"])
def test_with_nothing_tuned_the_network_is_the_plain_one(model, fix):
    network = CNNSettings(model=model)
    shape = ImageShape(10, 3, 32)
    with torch.device("meta"):
        here = Setting(model, dropout_names(experiment.plain_network(network, shape)))
    space = choose(
        cnn_hypers(here), groups(here), TuningChoice(tune="none", fix=fix, init="dropouts=0.5" if fix else "")
    )
    torch.manual_seed(0)
    plain = experiment.plain_network(network, shape)
    torch.manual_seed(0)
    mine = experiment.self_tuning(network, shape, space, "stn")
    assert count(mine) == count(plain) and list(mine.state_dict()) == list(plain.state_dict())
    kinds = {type(m).__name__ for _, m in hyper_layers(mine)}
    assert kinds <= {"HyperDropout", "HyperChannelDropout"} and bool(kinds) == bool(fix)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(mine.eval()(x), plain.eval()(x))
        for name in dropout_names(plain):
            plain.get_submodule(name).p = 0.5 if fix else 0.0
        for module in [*mine.modules(), *plain.modules()]:
            module.train(not isinstance(module, torch.nn.BatchNorm2d))
        torch.manual_seed(1)
        got = mine(x)
        torch.manual_seed(1)
        assert torch.equal(got, plain(x)), "fixed rates drop as torch's own layers do"


def inputs_of(tuner):
    """What reaches the network from now on, a tensor per call, with the mode it was in."""
    seen = []
    tuner.losses.bare.register_forward_pre_hook(lambda m, x: seen.append((x[0].detach().clone(), m.training)))
    return seen


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_validation_sees_clean_images_and_no_dropout(response):
    data = images()
    config, _, tuner = made(data, CNNSettings(flip=True, crop=2), method=Method(response=response, tune_spreads=True))
    for _ in range(3):
        tuner.train_step()
    source = tuner.problem.valid
    twin = experiment.Pictures(
        experiment.split(experiment.Parts(), data).valid, 8, config.seed + 1, torch.device("cpu"), False
    )
    normal = experiment.split(experiment.Parts(), data).normal
    mean, sd = (np.array(x, dtype=np.float32)[:, None, None] for x in (normal.mean, normal.sd))
    seen = inputs_of(tuner)
    tuner.tune_step()
    (pixels, _), ((got, training),) = twin.next(), seen
    assert not training and np.allclose(got.numpy(), (pixels.numpy() / np.float32(255) - mean) / sd, atol=1e-6)
    seen.clear()
    tuner.evaluate()
    whole = torch.cat([x for x, _ in seen])
    raw = np.concatenate([data.train_images[64:], data.test_images]).transpose(0, 3, 1, 2)
    assert not any(training for _, training in seen)
    assert np.allclose(whole.numpy(), (raw / np.float32(255) - mean) / sd, atol=1e-6)
    assert len(source.rows) == 16
    seen.clear()
    tuner.train_step()
    assert seen and all(training for _, training in seen), "after an evaluation dropout is on again"


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_a_train_step_changes_each_image_at_its_own_strengths(response):
    data = images(side=32)
    choice = TuningChoice(tune="indropout,dropouts", init="indropout=0.5", spread=2.0)
    _, space, tuner = made(data, choice=choice, method=Method(response=response))
    before = tuner.state()
    lam = tuner.losses.hypers.draw(*tuner.noise.draw(8)).detach()
    rates = tuner.losses.hypers.values(lam)["indropout"]
    tuner.load_state(before)
    seen = inputs_of(tuner)
    tuner.train_step()
    shares = (seen[-1][0] == 0).float().mean((1, 2, 3))
    assert rates.std() > 0.1 and shares.tolist() == pytest.approx(rates.tolist(), abs=0.04)
    assert len(seen) == (2 if response == "delta" else 1)
    if response == "delta":  # the general weights are trained at the mean
        assert (seen[0][0] == 0).float().mean((1, 2, 3)).tolist() == pytest.approx([0.5] * 8, abs=0.04)
    assert space["indropout"].init == 0.5


def test_dropout_masks_have_each_examples_own_rate():
    data = images(side=32)
    _, _, tuner = made(data, choice=TuningChoice(tune="dropout2", init="dropout2=0.5", spread=2.0))
    before = tuner.state()
    rates = tuner.losses.hypers.values(tuner.losses.hypers.draw(*tuner.noise.draw(8)))["dropout2"].detach()
    tuner.load_state(before)
    kept = []
    tuner.losses.bare.get_submodule("dropout2").register_forward_hook(
        lambda m, x, y: kept.append((x[0].abs().sum((2, 3)) > 0, y.abs().sum((2, 3)) == 0))
    )
    shares = torch.zeros(8)
    for _ in range(60):  # the same λ again and again, other masks
        random = torch.get_rng_state()
        tuner.load_state(before)
        torch.set_rng_state(random)
        tuner.train_step()
        alive, dropped = kept[0]  # the step's own call: what is checked after a first step calls the network again
        kept.clear()
        shares += (alive & dropped).sum(1) / alive.sum(1) / 60
    assert rates.std() > 0.05 and shares.tolist() == pytest.approx(rates.tolist(), abs=0.08)


def test_one_rate_for_all_dropouts():
    _, space, tuner = made(
        network=CNNSettings(one_dropout=True), choice=TuningChoice(tune="dropouts", init="dropout=0.4")
    )
    assert space.names == space.tuned == ("dropout",)
    layers = [m for _, m in hyper_layers(tuner.losses.bare) if type(m).__name__ == "HyperChannelDropout"]
    assert [m.name for m in layers] == ["dropout"] * 3
    tuner.train_step()


def test_channels_last_and_bfloat16_train_the_same_network():
    runs = {}
    for name, machine in (("plain", Machine()), ("last", Machine(channels_last=True)), ("half", Machine(amp="bf16"))):
        _, _, tuner = made(images(side=16), machine=replace(machine, device="cpu"))
        runs[name] = [tuner.train_step()["train_loss"] for _ in range(4)]
        assert all(p.dtype == torch.float32 for p in tuner.losses.bare.parameters())
    assert runs["last"] == pytest.approx(runs["plain"], rel=1e-4)
    assert runs["half"] == pytest.approx(runs["plain"], rel=3e-2) and runs["half"] != runs["plain"]


def test_an_epoch_and_the_schedule():
    data = images(80)
    config, space, _ = made(data, span=Span(epochs=3, warmup_epochs=1, train_per_cycle=2, tune_per_cycle=1))
    assert (config.network.n_train, config.network.n_valid, config.network.n_test) == (64, 16, 24)
    assert experiment.per_epoch(config) == 8
    plan = experiment.plan(config, space)
    assert (plan.steps, plan.warmup, plan.total) == (24, 8, 32)
    assert experiment.plan(config, space.with_tuned([])).total == 24


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"descent": Descent(batch=65)}, "--batch 65 does not fit 64 training images"),
        ({"descent": Descent(batch=17)}, "--batch 17 does not fit 16 validation images"),
        ({"choice": TuningChoice(tune="dropout3")}, "its dropouts are dropout0, dropout1, dropout2"),
        ({"choice": TuningChoice(tune="cutholes")}, "add cutlength"),
        ({"choice": TuningChoice(tune="hu")}, "did you mean 'hue'"),
        ({"network": CNNSettings(model="alexnet")}, "--model small"),
    ],
)
def test_mistakes_are_told_before_anything_runs(kind, message):
    with pytest.raises(UserError, match=message):
        made(**kind)
