"""The torch tuner: what a step moves and what it leaves, modes, optimizers, accumulation, precision, bad input."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Alternation, Hyper, HyperSpace, NonFiniteError, RunLog, UserError, alternate  # noqa: E402
from hyperopt_hn.nn import convert  # noqa: E402
from hyperopt_hn.nn.context import hyper_values  # noqa: E402
from hyperopt_hn.nn.conversion.penalty import squared_norm  # noqa: E402
from hyperopt_hn.nn.responses import Delta  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.setup.hypers import Hypers  # noqa: E402
from hyperopt_hn.nn.setup.looped import Looped  # noqa: E402
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig  # noqa: E402
from hyperopt_hn.nn.setup.schedulers import Schedulers  # noqa: E402
from hyperopt_hn.nn.tuning.codec import TORCH  # noqa: E402
from hyperopt_hn.nn.tuning.tuner import TorchTuner  # noqa: E402

RESPONSES = ["stn", "delta", "implicit"]


def space_of_three(tuned=None) -> HyperSpace:
    return HyperSpace(
        [
            Hyper("dropout", 0.2, 0.0, 0.9),
            Hyper("decay", 1e-3, 1e-6, 1.0, log=True, shared=True),
            Hyper("smooth", 0.1, 0.0, 0.5),
        ],
        tuned,
    )


def data(seed=0, rows=64):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 6, generator=g)
    return x, (x[:, 0] + 0.5 * x[:, 1] * x[:, 2] > 0).long()


def net(drop=0.2, norm=True):
    layers = [nn.Linear(6, 16), nn.BatchNorm1d(16) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(drop)]
    return nn.Sequential(*layers, nn.Linear(16, 2))


def train_loss(model, batch, h):
    x, y = batch
    logits = model(x).log_softmax(-1)
    smooth = h["smooth"]
    loss = -(1 - smooth) * logits.gather(1, y[:, None])[:, 0] - smooth * logits.mean(-1)
    return loss + h["decay"] * squared_norm(model)


def plain_loss(model, batch, h):
    return nn.functional.cross_entropy(model(batch[0]), batch[1]) + h["decay"] * model[0].weight.square().sum()


def valid_loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(response="stn", space=None, spreads=True, config=None, norm=True, size=16, gain="stn", **kind):
    torch.manual_seed(1)
    space = space or space_of_three()
    model = convert(net(norm=norm), space, gain=gain, dropout={"3": "dropout"})
    hypers = Hypers(space)
    problem = TorchProblem(
        kind.get("train_loss", train_loss), kind.get("valid_loss", valid_loss),
        Batches.of(data(0), size, 1), Batches.of(data(1), size, 2), kind.get("test"), kind.get("metrics"),
    )  # fmt: skip
    lam = torch.optim.Adam([hypers.lam], 0.01)
    rho = torch.optim.Adam([hypers.rho], 0.01) if spreads and response != "implicit" else None
    phi = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    return TorchTuner(model, hypers, problem, Optimizers(phi, lam, rho), response, config)


def bits(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("response", RESPONSES)
def test_a_train_step_leaves_lambda_and_a_tune_step_leaves_phi(response):
    """Facts 5.10: bit for bit, buffers and modes included."""
    tuner = build(response, train_loss=plain_loss if response == "implicit" else train_loss)
    model, hypers = tuner.losses.bare, tuner.losses.hypers
    model[2].eval()
    modes = [m.training for m in model.modules()]
    for _ in range(3):
        before, phi = bits(hypers), bits(model)
        tuner.train_step()
        assert same(before, bits(hypers))
        assert not same(phi, bits(model))
        before, lam = bits(model), bits(hypers)
        tuner.tune_step()
        assert same(before, bits(model))
        assert not torch.equal(lam["lam"], bits(hypers)["lam"])
        assert torch.equal(lam["rho"], bits(hypers)["rho"]) == (response == "implicit")
        before, lam = bits(model), bits(hypers)
        tuner.evaluate()
        assert same(before, bits(model))
        assert same(lam, bits(hypers))
        assert [m.training for m in model.modules()] == modes
    assert all(p.requires_grad for p in model.parameters())


def test_tuning_runs_clean_in_evaluation_mode_and_comes_back():
    seen = []

    def watching(model, batch):
        seen.append([m.training for m in model.modules()])
        return valid_loss(model, batch)

    tuner = build(valid_loss=watching)
    tuner.train_step()
    tuner.tune_step()
    tuner.evaluate()
    assert not any(any(modes) for modes in seen)
    assert all(m.training for m in tuner.losses.bare.modules())


def test_modes_come_back_after_an_error():
    def broken(model, batch):
        raise RuntimeError("no")

    tuner = build(valid_loss=broken)
    with pytest.raises(RuntimeError, match="no"):
        tuner.tune_step()
    assert all(m.training for m in tuner.losses.bare.modules())
    assert all(p.requires_grad for p in tuner.losses.bare.parameters())


def test_fixed_spreads_tune_at_the_mean_without_noise():
    tuner = build(spreads=False)
    tuner.train_step()
    rho, state = tuner.losses.hypers.rho.detach().clone(), tuner.noise.state()
    tuner.tune_step()
    assert torch.equal(rho, tuner.losses.hypers.rho)
    assert torch.equal(state, tuner.noise.state())


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_losses_see_natural_values_at_each_examples_own_perturbation(response):
    seen = []

    def looking(model, batch, h):
        seen.append({name: value.clone() for name, value in h.items()})
        rates = hyper_values(model)["dropout"]
        assert torch.equal(rates.expand_as(h["dropout"]), h["dropout"])
        assert not any(value.requires_grad for value in h.values())
        return train_loss(model, batch, h)

    tuner = build(response, train_loss=looking)
    tuner.train_step()
    last = seen[-1]
    assert last["dropout"].shape == (16,)
    assert len(set(last["dropout"].tolist())) == 16
    assert last["decay"].shape == ()
    if response == "delta":
        assert seen[0]["dropout"].shape == ()
        assert seen[0]["dropout"].item() == pytest.approx(0.2, abs=1e-6)


def test_accumulated_batches_are_one_large_batch():
    one, many = (
        build(size=32, norm=False, space=quiet()),
        build(size=8, norm=False, space=quiet(), config=TunerConfig(accumulate=4)),
    )
    for _ in range(5):
        assert one.train_step()["train_loss"] == pytest.approx(many.train_step()["train_loss"], rel=1e-5)
        one.tune_step(data(1, 32))
        many.tune_step(data(1, 32))
    for a, b in zip(one.losses.bare.parameters(), many.losses.bare.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)


def quiet():
    """Perturbed hyperparameters whose effect needs no random mask."""
    return HyperSpace(
        [Hyper("dropout", 1e-9, 0.0, 0.9, spread=0.0), Hyper("decay", 1e-3, 1e-6, 1.0, log=True, shared=True),
         Hyper("smooth", 0.1, 0.0, 0.5)]
    )  # fmt: skip


def test_clipping_bounds_the_step():
    tuner = build(config=TunerConfig(clip=1e-3, clip_lam=1e-4))
    for group in (*tuner.optimizers.phis(), tuner.optimizers.lam):
        assert group.param_groups
    before = bits(tuner.losses.bare)
    tuner.train_step()
    moved = sum((before[n] - p).square().sum() for n, p in tuner.losses.bare.named_parameters()).sqrt()
    assert moved.item() <= 0.05 * 1e-3 * 1.001


def test_schedulers_are_stepped_and_optimizers_never_rebuilt():
    tuner = build()
    opt = tuner.optimizers
    schedule = Schedulers(
        train=[torch.optim.lr_scheduler.StepLR(opt.phi, 2, 0.1)],
        tune=[torch.optim.lr_scheduler.StepLR(opt.lam, 1, 0.5)],
        evaluation=[torch.optim.lr_scheduler.ReduceLROnPlateau(opt.rho, patience=0, threshold=1e9)],
    )
    tuner = TorchTuner(
        tuner.losses.bare, tuner.losses.hypers, tuner.problem, Optimizers(opt.phi, opt.lam, opt.rho, schedule)
    )
    kept = [id(o) for o in tuner.optimizers.all()]
    for _ in range(4):
        tuner.train_step()
        tuner.tune_step()
        tuner.evaluate()
    assert [id(o) for o in tuner.optimizers.all()] == kept
    assert opt.phi.param_groups[0]["lr"] == pytest.approx(0.05 * 0.01)
    assert opt.lam.param_groups[0]["lr"] == pytest.approx(0.01 * 0.5**4)
    assert opt.rho.param_groups[0]["lr"] < 0.01


def test_several_optimizers_on_phi():
    tuner = build()
    model, hypers = tuner.losses.bare, tuner.losses.hypers
    from hyperopt_hn.nn import general_parameters, response_parameters

    phi = [torch.optim.SGD(general_parameters(model), 0.1), torch.optim.AdamW(response_parameters(model), 0.01)]
    tuner = TorchTuner(model, hypers, tuner.problem, Optimizers(phi, torch.optim.SGD([hypers.lam], 0.1)), "delta")
    before = bits(model)
    tuner.train_step()
    assert not torch.equal(before["0.weight"], model[0].weight)
    assert not torch.equal(before["0.response_weight"], model[0].response_weight)


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_autocast_runs_the_model_in_bfloat16_and_keeps_lambda(response):
    seen = []

    def looking(model, batch, h):
        out = model(batch[0])
        seen.append(out.dtype)
        assert all(v.dtype == torch.float32 for v in h.values())
        return nn.functional.cross_entropy(out, batch[1])

    tuner = build(response, config=TunerConfig(autocast="bfloat16", tau=1e-3), train_loss=looking)
    for _ in range(3):
        tuner.train_step()
        tuner.tune_step()
    assert set(seen) == {torch.bfloat16}
    hypers = tuner.losses.hypers
    assert hypers.lam.dtype == hypers.rho.dtype == hypers.sigma().dtype == hypers.entropy().dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert hypers.entropy().dtype == hypers.sigma().dtype == torch.float32
        assert all(v.dtype == torch.float32 for v in hypers.values(hypers.lam).values())


def test_an_explicit_batch_is_used():
    tuner, seen = build(), []

    def looking(model, batch, h):
        seen.append(len(batch[0]))
        return train_loss(model, batch, h)

    tuner = build(train_loss=looking)
    tuner.train_step(data(5, 11))
    tuner.tune_step(data(6, 7))
    assert seen == [11]


def test_evaluation_is_the_mean_over_the_whole_split():
    x, y = data(9, 37)

    def metrics(model, batch):
        return {"accuracy": (model(batch[0]).argmax(-1) == batch[1]).float().mean()}

    tuner = build(metrics=metrics, test=Batches.of((x, y), 10))
    found = tuner.evaluate()
    from hyperopt_hn.nn import at

    model, lam = tuner.losses.bare.eval(), tuner.losses.hypers.lam.detach()
    with torch.no_grad(), at(model, lam):
        assert found["test_loss"] == pytest.approx(valid_loss(model, (x, y)).item(), rel=1e-6)
        assert found["test_accuracy"] == pytest.approx((model(x).argmax(-1) == y).float().mean().item(), abs=1e-7)
    assert set(found) == {"valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "train_steps"}


def test_a_loss_among_the_metrics_saves_a_second_pass():
    split, calls = Batches.of(data(9, 37), 10), []

    def judge(model, batch):
        calls.append(len(batch[0]))
        logits = model(batch[0])
        return {"loss": nn.functional.cross_entropy(logits, batch[1]), "first": logits[:, 0].mean()}

    def forbidden(model, batch):
        raise AssertionError("asked for a loss that the metrics hold")

    wanted = build(test=split).evaluate()["test_loss"]
    found = build(test=split, metrics=judge, valid_loss=forbidden).evaluate()
    assert found["test_loss"] == pytest.approx(wanted, rel=1e-6) and "test_first" in found
    assert sum(calls) == 64 + 37


def test_metrics_run_in_the_precision_of_the_losses():
    seen = []

    def judge(model, batch):
        seen.append(model(batch[0]).dtype)
        return {"first": model(batch[0]).float().mean()}

    build(metrics=judge, config=TunerConfig(autocast="bfloat16")).evaluate()
    assert set(seen) == {torch.bfloat16}


def test_course_and_hypers_are_in_natural_units():
    tuner = build(config=TunerConfig(course_rows=4))
    for _ in range(21):
        tuner.train_step()
        tuner.tune_step()
    table = tuner.course()
    assert set(table) == {"step", "dropout", "decay", "smooth"}
    assert 4 <= len(table["step"]) < 8
    gaps = np.diff(table["step"])
    assert (gaps == gaps[0]).all()
    assert ((table["dropout"] > 0) & (table["dropout"] < 0.9)).all()
    arrays = tuner.arrays()
    assert arrays["course_lambda"].shape == (len(table["step"]), 3)
    assert arrays["lambda_hat"] == pytest.approx(tuner.losses.hypers.lam.detach().numpy())
    assert set(tuner.hypers()) == {"dropout", "decay", "smooth"}


def test_the_course_is_a_csv_table(tmp_path):
    tuner = build()
    for _ in range(3):
        tuner.train_step()
        tuner.tune_step()
    tuner.write_course(tmp_path / "course.csv")
    header, *rows = (tmp_path / "course.csv").read_text().splitlines()
    assert header == "step,train_steps,dropout,decay,smooth"
    assert [row.split(",")[0] for row in rows] == ["2", "4", "6"]
    assert [row.split(",")[1] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1].split(",")[4]) == tuner.course()["smooth"][-1]


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_collapsed_is_a_plain_model_that_answers_alike(response):
    tuner = build(response)
    for _ in range(5):
        tuner.train_step()
        tuner.tune_step()
    plain = tuner.collapsed().eval()
    assert {type(m) for m in plain} == {type(m) for m in net()}
    assert plain[3].p == pytest.approx(tuner.hypers()["dropout"])
    x, y = data(1)
    with torch.no_grad():
        loss = nn.functional.cross_entropy(plain(x), y).item()
    assert loss == pytest.approx(tuner.evaluate()["valid_loss"], rel=1e-5)
    assert tuner.collapsed({"dropout": 0.7})[3].p == pytest.approx(0.7)


def test_assign_moves_only_the_named_ones():
    hypers = build().losses.hypers
    before = hypers.lam.detach().clone()
    hypers.assign({"smooth": 0.25})
    assert torch.equal(before[:2], hypers.lam[:2])
    assert hypers.plain()["smooth"] == pytest.approx(0.25, abs=1e-6)
    with pytest.raises(UserError, match="smoth"):
        hypers.assign({"smoth": 0.1})


def noisy_labels(response, steps, tune=True, seed=3):
    """A classifier that overfits noisy labels, its decay tuned from a value far too small."""
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(30, generator=g)

    def draw(rows, noise):
        x = torch.randn(rows, 30, generator=g)
        y = (x @ w > 0).long()
        return x, torch.where(torch.rand(rows, generator=g) < noise, 1 - y, y)

    space = HyperSpace([Hyper("decay", 1e-3, 1e-5, 1.0, log=True, shared=True, spread=1.0)])
    train, valid, test = draw(60, 0.3), draw(400, 0.0), draw(1000, 0.0)
    torch.manual_seed(0)
    model, hypers = convert(nn.Linear(30, 2), space), Hypers(space)
    problem = TorchProblem(
        lambda m, b, h: valid_loss(m, b) + h["decay"] * squared_norm(m), valid_loss,
        Batches.of(train, 60), Batches.of(valid, 200), Batches.of(test, 500),
    )  # fmt: skip
    optimizers = Optimizers(torch.optim.Adam(model.parameters(), 0.01), torch.optim.Adam([hypers.lam], 0.05))
    tuner = TorchTuner(model, hypers, problem, optimizers, response)
    for step in range(steps):
        tuner.train_step()
        if tune and step >= 120:
            tuner.tune_step()
    return tuner


@pytest.mark.parametrize("response", RESPONSES)
def test_tuning_finds_the_penalty_that_noisy_labels_need(response):
    fixed, tuned = noisy_labels(response, 300, tune=False), noisy_labels(response, 300)
    assert fixed.hypers()["decay"] == pytest.approx(1e-3)
    assert tuned.hypers()["decay"] > 0.1
    assert tuned.evaluate()["test_loss"] < 0.75 * fixed.evaluate()["test_loss"]


def test_a_space_with_nothing_tuned_is_plain_training():
    """The fixed baseline: no response, the constant rates of the space, the plain model's parameters."""
    space = space_of_three(tuned=[])
    torch.manual_seed(1)
    model = convert(net(), space, dropout={"3": "dropout"})
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in net().parameters())
    hypers = Hypers(space)
    problem = TorchProblem(train_loss, valid_loss, Batches.of(data(0), 16, 1), Batches.of(data(1), 16, 2))
    tuner = TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)))
    losses = [tuner.train_step()["train_loss"] for _ in range(30)]
    assert losses[-1] < losses[0]
    assert tuner.hypers()["decay"] == pytest.approx(1e-3)
    with pytest.raises(UserError, match="nothing to tune"):
        tuner.tune_step()
    with pytest.raises(UserError, match="tunes nothing"):
        TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1),
                                                      torch.optim.SGD([hypers.lam], 0.1)))  # fmt: skip


class Ramp:
    """dropout rises by 0.01 a training step."""

    def __init__(self, name="dropout"):
        self.name = name

    def at(self, step):
        return {self.name: 0.1 + 0.01 * step}


@pytest.mark.parametrize("tuned", [[], ["decay", "smooth"]])
def test_untuned_hyperparameters_follow_a_course(tuned):
    seen = []

    def looking(model, batch, h):
        rates = hyper_values(model)["dropout"]
        seen.append((float(rates), h["dropout"]))
        return train_loss(model, batch, h)

    space = space_of_three(tuned)
    model, hypers = convert(net(), space, gain="stn", dropout={"3": "dropout"}), Hypers(space)
    problem = TorchProblem(looking, valid_loss, Batches.of(data(0), 16, 1), Batches.of(data(1), 16, 2))
    lam = torch.optim.SGD([hypers.lam], 0.1) if tuned else None
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.1), lam)
    tuner = TorchTuner(model, hypers, problem, optimizers, config=TunerConfig(course=Ramp()))
    for _ in range(3):
        tuner.train_step()
        if tuned:
            tuner.tune_step()
        tuner.evaluate()
    assert [rate for rate, _ in seen] == [h for _, h in seen] == pytest.approx([0.1, 0.11, 0.12])
    assert tuner.hypers()["dropout"] == pytest.approx(0.12)
    state = tuner.state()
    tuner.train_step()
    tuner.load_state(state)
    assert tuner.hypers()["dropout"] == pytest.approx(0.12)


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_a_validation_loss_without_lambda_says_so_at_the_first_tune_step(response):
    tuner = build(response, valid_loss=lambda model, batch: batch[0].mean())
    tuner.train_step()
    with pytest.raises(UserError, match="does not depend on λ"):
        tuner.tune_step()


def test_a_response_that_nothing_has_trained_says_so_at_the_first_tune_step():
    tuner = build(gain="delta", spreads=False)
    with pytest.raises(UserError, match="exactly zero at the first tune step"):
        tuner.tune_step()


@pytest.mark.parametrize("where", ["train", "tune"])
def test_a_nan_stops_before_anything_moves(where, tmp_path):
    bad = {"on": False}

    def maybe(value):
        return value * math.nan if bad["on"] else value

    tuner = build(
        train_loss=lambda m, b, h: maybe(train_loss(m, b, h)) if where == "train" else train_loss(m, b, h),
        valid_loss=lambda m, b: maybe(valid_loss(m, b)) if where == "tune" else valid_loss(m, b),
    )
    tuner.train_step()
    tuner.tune_step()
    phi, lam = bits(tuner.losses.bare), bits(tuner.losses.hypers)
    bad["on"] = True
    with pytest.raises(NonFiniteError, match=r"became nan at \w+ step 2 with dropout="):
        (tuner.train_step if where == "train" else tuner.tune_step)()
    after = bits(tuner.losses.bare)
    assert all(torch.equal(phi[n], after[n]) for n in phi if "running" not in n and "batches" not in n)
    assert same(lam, bits(tuner.losses.hypers))
    log = RunLog(tmp_path / "run", {"config": {}}, codec=TORCH)
    bad["on"] = False
    fresh = build(train_loss=lambda m, b, h: train_loss(m, b, h) * math.nan)
    with pytest.raises(NonFiniteError, match="the last good checkpoint is in"):
        alternate(fresh, Alternation(steps=4), log)
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def model_of(**kind):
    tuner = build(**kind)
    return tuner.losses.bare, tuner.losses.hypers, tuner.problem


def test_bad_input_is_refused_at_construction():
    model, hypers, problem = model_of()
    space = hypers.space
    sgd = torch.optim.SGD
    phi, lam = sgd(model.parameters(), 0.1), sgd([hypers.lam], 0.1)

    def refused(match, *, model=model, hypers=hypers, optimizers=None, response="stn", config=None):
        with pytest.raises(UserError, match=match):
            TorchTuner(model, hypers, problem, optimizers or Optimizers(phi, lam), response, config)

    refused("unknown; take one of stn, delta, split, implicit", response="sgn")
    refused(
        "is in no optimizer; make φ's optimizer after convert",
        optimizers=Optimizers(sgd(list(model.parameters())[:3], 0.1), lam),
    )
    refused("φ's optimizer holds λ̂", optimizers=Optimizers(sgd([*model.parameters(), hypers.lam], 0.1), lam))
    refused(r"`lam` must hold \[hypers.lam\]", optimizers=Optimizers(phi, sgd([hypers.rho], 0.1)))
    refused("give Optimizers a `lam` too", optimizers=Optimizers(phi, None, sgd([hypers.rho], 0.1)))
    refused("LBFGS", optimizers=Optimizers(torch.optim.LBFGS(model.parameters()), lam))
    refused("no layer of this model has a response", model=net())
    refused("another space", hypers=Hypers(HyperSpace([Hyper("x", 0.1)])))
    refused("keep Hypers out of", hypers=Hypers(space).bfloat16())
    refused("another device|λ̂ on meta|λ̂ on", hypers=Hypers(space, device="meta"))
    refused("float16 needs loss scaling", config=TunerConfig(autocast="float16"))
    refused("autocast='int8' is unknown", config=TunerConfig(autocast="int8"))
    refused("DataParallel", model=nn.DataParallel(model))
    mixed = copy.deepcopy(model)
    mixed[4].double()
    refused("mixes float64", model=mixed)
    refused("is tuned and follows a course", config=TunerConfig(course=Ramp()))
    refused("no hyperparameter 'dropuot'; did you mean 'dropout'", config=TunerConfig(course=Ramp("dropuot")))
    refused("it cannot tune spreads", response="implicit", optimizers=Optimizers(phi, lam, sgd([hypers.rho], 0.1)))
    with pytest.raises(UserError, match="too small"):
        TunerConfig(tau=-1.0)
    with pytest.raises(UserError, match="would lose its small steps"):
        Hypers(space, dtype=torch.bfloat16)
    flat = HyperSpace([Hyper("dropout", 0.2, 0.0, 0.9, spread=0.0)])
    flat_model, flat_hypers, _ = model_of(space=flat, spreads=False, train_loss=lambda m, b, h: valid_loss(m, b))
    theirs = sgd(flat_model.parameters(), 0.1), sgd([flat_hypers.lam], 0.1), sgd([flat_hypers.rho], 0.1)
    refused("every spread is 0", model=flat_model, hypers=flat_hypers, optimizers=Optimizers(*theirs))


def test_a_loss_of_the_wrong_kind_is_refused():
    for wrong in (lambda m, b, h: 1.0, lambda m, b, h: m(b[0]), lambda m, b, h: b[1].sum()):
        with pytest.raises(UserError, match="return a scalar tensor or one number per example"):
            build(train_loss=wrong).train_step()
    with pytest.raises(UserError, match="must call the model"):
        build(train_loss=lambda m, b, h: b[0].mean()).train_step()


def test_batches_visit_every_row_and_refuse_what_does_not_pair():
    source = Batches.of(torch.arange(10), 3, seed=4)
    epochs = [torch.cat([source.next() for _ in range(3)]) for _ in range(40)]
    assert all(len(set(e.tolist())) == 9 for e in epochs)
    assert set(torch.cat(epochs).tolist()) == set(range(10))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(torch.cat(list(source.once())), torch.arange(10))
    with pytest.raises(UserError, match="do not pair"):
        Batches.of((torch.zeros(3), torch.zeros(4)), 2)
    with pytest.raises(UserError, match="give a smaller size"):
        Batches.of(torch.zeros(3), 4)
    with pytest.raises(UserError, match="resume with the same data"):
        Batches.of(torch.zeros(5), 4).load_state(source.state())


def test_a_data_loader_resumes_in_the_middle_of_an_epoch():
    set_ = torch.utils.data.TensorDataset(torch.arange(20))
    torch.manual_seed(0)
    source = Looped(torch.utils.data.DataLoader(set_, 3, shuffle=True))
    for _ in range(10):
        source.next()
    state, rng = copy.deepcopy(source.state()), torch.get_rng_state()
    wanted = [source.next()[0].tolist() for _ in range(12)]
    other = Looped(torch.utils.data.DataLoader(set_, 3, shuffle=True))
    torch.manual_seed(99)
    other.load_state(state)
    torch.set_rng_state(rng)
    assert [other.next()[0].tolist() for _ in range(12)] == wanted


def test_a_compiled_model_takes_the_same_steps():
    """torch.compile changes the code, not the numbers (inductor: marked slow below)."""
    compare_compiled("aot_eager", 1e-6)


@pytest.mark.slow
def test_inductor_takes_the_same_steps():
    compare_compiled("inductor", 1e-4)


def compare_compiled(backend, tolerance):
    plain, other = build(norm=False, space=quiet()), build(norm=False, space=quiet())
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations while it compiles
        compiled = torch.compile(other.losses.bare, backend=backend)
        other = TorchTuner(compiled, other.losses.hypers, other.problem, other.optimizers)
        for _ in range(4):
            a, b = plain.train_step()["train_loss"], other.train_step()["train_loss"]
            assert a == pytest.approx(b, rel=tolerance)
            a, b = plain.tune_step()["tune_loss"], other.tune_step()["tune_loss"]
            assert a == pytest.approx(b, rel=tolerance)
        assert plain.evaluate()["valid_loss"] == pytest.approx(other.evaluate()["valid_loss"], rel=tolerance)
        with pytest.raises(UserError, match=r"torch\.compile"):
            TorchTuner(compiled, other.losses.hypers, other.problem, other.optimizers, "delta")
        TorchTuner(compiled, other.losses.hypers, other.problem, other.optimizers, Delta(linear=False)).train_step()
