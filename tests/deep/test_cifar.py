"""Self-tuning CNNs: published sizes, plain networks where nothing is tuned, clean validation, exact resuming, replay."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep import cifar  # noqa: E402
from deep.choice import Choice, choose  # noqa: E402
from deep.cifar import CNNConfig, Network  # noqa: E402
from deep.cnn import NETWORKS, Shape, count, dropout_names  # noqa: E402
from deep.hypers import Setting, cnn_hypers, groups  # noqa: E402
from deep.machine import Machine  # noqa: E402
from deep.training import Descent, Method, Span  # noqa: E402
from hyperopt_hn import RunLog, UserError, alternate  # noqa: E402
from hyperopt_hn.nn import TORCH, load_checkpoint  # noqa: E402
from hyperopt_hn.nn.context import hyper_layers  # noqa: E402
from hyperopt_hn.progress import Progress  # noqa: E402
from tests.deep import killed  # noqa: E402
from tests.deep.pictures_cases import images  # noqa: E402
from tests.nn.test_checkpoint import equal  # noqa: E402

ROOT = Path(__file__).parents[2]


def made(data=None, network=None, course=None, **kind):
    """A configuration fitted to small images, its space and its tuner."""
    data = data or images()
    config = CNNConfig(
        network or Network(),
        kind.get("choice", Choice(tune="stn")),
        kind.get("method", Method(lr_lam=0.05)),
        kind.get("descent", Descent(batch=8, lr=0.05, decay="none")),
        kind.get("span", Span(epochs=4, warmup_epochs=0.5)),
        kind.get("machine", Machine(device="cpu")),
    )
    config = cifar.fit(config, data)
    space = cifar.space_of_config(config, data)
    return config, space, cifar.build_tuner(config, data, space, course)


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
    network = Network(model=model, ranges=ranges)
    with torch.device("meta"):
        plain = cifar.plain_network(network, Shape())
        here = Setting(model, dropout_names(plain), ranges=ranges)
        space = choose(cnn_hypers(here), groups(here), Choice(tune=ranges))
        tuned = cifar.self_tuning(network, Shape(), space, ranges)
    assert count(tuned) == published - scalars
    assert [name for name, _ in tuned.named_parameters() if "response" not in name] == [
        name for name, _ in plain.named_parameters()
    ]


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("fix", ["", "dropouts"])
def test_with_nothing_tuned_the_network_is_the_plain_one(model, fix):
    network = Network(model=model)
    shape = Shape(10, 3, 32)
    with torch.device("meta"):
        here = Setting(model, dropout_names(cifar.plain_network(network, shape)))
    space = choose(cnn_hypers(here), groups(here), Choice(tune="none", fix=fix, init="dropouts=0.5" if fix else ""))
    torch.manual_seed(0)
    plain = cifar.plain_network(network, shape)
    torch.manual_seed(0)
    mine = cifar.self_tuning(network, shape, space, "stn")
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
    tuner.bench.bare.register_forward_pre_hook(lambda m, x: seen.append((x[0].detach().clone(), m.training)))
    return seen


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_validation_sees_clean_images_and_no_dropout(response):
    data = images()
    config, _, tuner = made(data, Network(flip=True, crop=2), method=Method(response=response, tune_spreads=True))
    for _ in range(3):
        tuner.train_step()
    source = tuner.problem.valid
    twin = cifar.Pictures(cifar.split(cifar.Parts(), data).valid, 8, config.seed + 1, torch.device("cpu"), False)
    normal = cifar.split(cifar.Parts(), data).normal
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


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_a_train_step_changes_each_image_at_its_own_strengths(response):
    data = images(side=32)
    choice = Choice(tune="indropout,dropouts", init="indropout=0.5", spread=2.0)
    _, space, tuner = made(data, choice=choice, method=Method(response=response))
    before = tuner.state()
    lam = tuner.bench.hypers.draw(*tuner.noise.draw(8)).detach()
    rates = tuner.bench.hypers.values(lam)["indropout"]
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
    _, _, tuner = made(data, choice=Choice(tune="dropout2", init="dropout2=0.5", spread=2.0))
    before = tuner.state()
    rates = tuner.bench.hypers.values(tuner.bench.hypers.draw(*tuner.noise.draw(8)))["dropout2"].detach()
    tuner.load_state(before)
    kept = []
    tuner.bench.bare.get_submodule("dropout2").register_forward_hook(
        lambda m, x, y: kept.append((x[0].abs().sum((2, 3)) > 0, y.abs().sum((2, 3)) == 0))
    )
    shares = torch.zeros(8)
    for _ in range(60):  # the same λ again and again, other masks
        random = torch.get_rng_state()
        tuner.load_state(before)
        torch.set_rng_state(random)
        tuner.train_step()
        alive, dropped = kept.pop()
        shares += (alive & dropped).sum(1) / alive.sum(1) / 60
    assert rates.std() > 0.05 and shares.tolist() == pytest.approx(rates.tolist(), abs=0.08)


def without_python(state):
    """Nothing of ours draws from Python's or numpy's own generators, and a new process seeds them anew."""
    return {**state, "random": {name: state["random"][name] for name in ("torch", "device")}}


@pytest.mark.parametrize(("response", "kill_at"), [("stn", 4), ("stn", 19), ("delta", 19)])
def test_a_killed_run_goes_on_bit_by_bit(response, kill_at, tmp_path):
    whole = without_python(killed.run(tmp_path / "whole", response).state())
    command = [sys.executable, "-m", "tests.deep.killed", str(tmp_path / "cut"), response, str(kill_at)]
    assert subprocess.run(command, cwd=ROOT, timeout=300, check=False).returncode == -9
    assert not (tmp_path / "cut" / "result.json").exists()
    resumed = killed.run(tmp_path / "cut", response, resume=True)
    assert equal(whole, without_python(resumed.state()))
    logs = [(tmp_path / where / "log.jsonl").read_bytes() for where in ("whole", "cut")]
    assert logs[0] == logs[1]
    best = [without_python(load_checkpoint(tmp_path / where / "best.pt")) for where in ("whole", "cut")]
    assert equal(*best)


def finished(config, space, tuner, path):
    log = RunLog(path, {"experiment": "cnn"}, codec=TORCH)
    plan = cifar.plan(config, space)
    return alternate(tuner, plan, log, Progress("cnn", plan.total, quiet=True))


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_the_best_checkpoint_is_itself_at_its_own_lambda(response, tmp_path):
    """The published final test mixed the best weights with the last λ (facts 2.8, C2)."""
    data = images()
    method = Method(response=response, lr_lam=0.2, tune_spreads=True)
    descent, span = Descent(batch=8, lr=0.02, decay="none"), Span(12, 0.5, evaluations=3)
    config, space, tuner = made(data, method=method, descent=descent, span=span)
    outcome = finished(config, space, tuner, tmp_path)
    assert outcome.best["step"] != outcome.final["step"], "so that the last λ is another one"
    fresh = made(data, method=method, descent=descent, span=span)[2]
    fresh.load_state(load_checkpoint(tmp_path / "best.pt"))
    found = fresh.evaluate()
    for name in ("valid_loss", "test_loss", "valid_accuracy", "test_accuracy"):
        assert found[name] == outcome.best[name], name
    assert fresh.hypers() == outcome.best["hypers"] and tuner.hypers() != fresh.hypers()
    plain = fresh.collapsed().eval()
    judge = fresh.problem.metrics
    with torch.no_grad():
        batch = next(iter(fresh.problem.held.once()))
        assert float(judge(plain, batch)["loss"]) == pytest.approx(found["test_loss"], rel=1e-5)


def lines(path):
    return [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]


def recorded(tmp_path, data):
    """A run directory of a self-tuning network that also holds a fixed value."""
    choice = Choice(tune="dropouts,cutout", fix="hue", init="hue=0.1", spread=0.3)
    config, space, tuner = made(data, choice=choice, method=Method(lr_lam=0.3))
    path = tmp_path / "tuned"
    log = RunLog(path, {"experiment": "cnn", "config": {}}, codec=TORCH)
    alternate(tuner, cifar.plan(config, space), log, Progress("cnn", 1, quiet=True))
    return path


def test_a_replay_follows_the_run_step_by_step(tmp_path):
    data = images()
    path = recorded(tmp_path, data)
    records = lines(path)
    network = Network(replay=str(path))
    config = cifar.fit(CNNConfig(network, descent=Descent(batch=8, decay="none"), span=Span(4, 0.5)), data)
    space, course = cifar.replayed(config, data)
    assert space.n == 0 and set(space.names) == set(records[0]["hypers"]) == {*map("dropout{}".format, range(3)),
                                                                             "cutlength", "cutholes", "hue"}  # fmt: skip
    tuner = cifar.build_tuner(config, data, space, course)
    assert count(tuner.bench.bare) == count(cifar.plain_network(network, Shape(4, 3, 8)))
    moved = set()
    for step in range(30):
        tuner.train_step()
        at = [r for r in records if r["train_steps"] <= step][-1]
        assert tuner.hypers() == pytest.approx(at["hypers"])
        moved.add(tuple(tuner.hypers().values()))
    assert len(moved) == len({tuple(r["hypers"].values()) for r in records if r["train_steps"] < 30}) > 2


def test_a_replay_holds_the_final_values_if_it_is_told_to(tmp_path):
    data = images()
    path = recorded(tmp_path, data)
    config = CNNConfig(Network(replay=str(path), replay_final=True), Choice(fix="sat", init="sat=0.7"))
    space, course = cifar.replayed(cifar.fit(config, data), data)
    assert course is None and space.n == 0
    held = {name: space[name].init for name in space.names}
    assert held == pytest.approx({**lines(path)[-1]["hypers"], "sat": 0.7})


def test_a_replay_reads_tables_and_refuses_what_does_not_fit(tmp_path):
    data = images()
    (tmp_path / "course.csv").write_text("step,dropout0,other\n0,0.1,9\n5,0.3,9\n")
    config = cifar.fit(CNNConfig(Network(replay=str(tmp_path / "course.csv"))), data)
    space, course = cifar.replayed(config, data)
    assert space.names == ("dropout0",) and [course.at(s)["dropout0"] for s in (0, 4, 5, 99)] == [0.1, 0.1, 0.3, 0.3]
    path = recorded(tmp_path, data)
    gray = images(channels=1)
    with pytest.raises(UserError, match="recorded hue, which this network on these images"):
        cifar.replayed(cifar.fit(CNNConfig(Network(replay=str(path))), gray), gray)
    with pytest.raises(UserError, match=r"cannot be read|missing"):
        cifar.replayed(cifar.fit(CNNConfig(Network(replay=str(tmp_path / "nothing"))), data), data)


def test_one_rate_for_all_dropouts():
    _, space, tuner = made(network=Network(one_dropout=True), choice=Choice(tune="dropouts", init="dropout=0.4"))
    assert space.names == space.tuned == ("dropout",)
    layers = [m for _, m in hyper_layers(tuner.bench.bare) if type(m).__name__ == "HyperChannelDropout"]
    assert [m.name for m in layers] == ["dropout"] * 3
    tuner.train_step()


def test_channels_last_and_bfloat16_train_the_same_network():
    runs = {}
    for name, machine in (("plain", Machine()), ("last", Machine(channels_last=True)), ("half", Machine(amp="bf16"))):
        _, _, tuner = made(images(side=16), machine=replace(machine, device="cpu"))
        runs[name] = [tuner.train_step()["train_loss"] for _ in range(4)]
        assert all(p.dtype == torch.float32 for p in tuner.bench.bare.parameters())
    assert runs["last"] == pytest.approx(runs["plain"], rel=1e-4)
    assert runs["half"] == pytest.approx(runs["plain"], rel=3e-2) and runs["half"] != runs["plain"]


def test_an_epoch_and_the_schedule():
    data = images(80)
    config, space, _ = made(data, span=Span(epochs=3, warmup_epochs=1, train_per_cycle=2, tune_per_cycle=1))
    assert (config.network.n_train, config.network.n_valid, config.network.n_test) == (64, 16, 24)
    assert cifar.per_epoch(config) == 8
    plan = cifar.plan(config, space)
    assert (plan.steps, plan.warmup, plan.total) == (24, 8, 32)
    assert cifar.plan(config, space.with_tuned([])).total == 24


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"descent": Descent(batch=65)}, "--batch 65 does not fit 64 training images"),
        ({"descent": Descent(batch=17)}, "--batch 17 does not fit 16 validation images"),
        ({"choice": Choice(tune="dropout3")}, "its dropouts are dropout0, dropout1, dropout2"),
        ({"choice": Choice(tune="cutholes")}, "add cutlength"),
        ({"choice": Choice(tune="hu")}, "did you mean 'hue'"),
        ({"network": Network(model="alexnet")}, "--model small"),
    ],
)
def test_mistakes_are_told_before_anything_runs(kind, message):
    with pytest.raises(UserError, match=message):
        made(**kind)
