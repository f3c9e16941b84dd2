"""Schedules from epochs and budgets, the non-monotone decay, devices, TensorBoard."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from deep.machine import Machine, device_of, out_of_memory_says  # noqa: E402
from deep.training import Descent, Method, Recipe, Span, alternation, make_tuner  # noqa: E402
from hyperopt_hn import Alternation, Hyper, HyperSpace, Run, RunLog, UserError, alternate  # noqa: E402
from hyperopt_hn.nn import TORCH, Batches, TorchProblem, convert  # noqa: E402
from hyperopt_hn.runs.sinks import TensorBoard  # noqa: E402
from tests.support.digits_mlp import fixed  # noqa: E402


def test_epochs_become_steps():
    plan = alternation(Span(epochs=10, warmup_epochs=2, train_per_cycle=2, tune_per_cycle=1), 30, tunes=True)
    assert (plan.steps, plan.warmup, plan.evaluate_every, plan.total) == (300, 60, 45, 300 + 120)
    plan = alternation(Span(epochs=10, evaluations=2), 30, tunes=False)
    assert (plan.tune_per_cycle, plan.evaluate_every, plan.total) == (0, 15, 300)


@pytest.mark.parametrize(("tunes", "epochs", "per_epoch"), [(True, 25, 75), (False, 25, 75), (True, 7, 14)])
@pytest.mark.parametrize(("evaluations", "places"), [(1.0, [1.0]), (0.5, [2.0]), (2.0, [0.5, 1.0]), (0.4, [2.0])])
def test_evaluations_fall_on_the_ends_of_epochs(tunes, epochs, per_epoch, evaluations, places):
    """With 75 windows and cycles of 2 and 1 steps they drifted from a third of an epoch on."""
    plan = alternation(Span(epochs, 1.0, evaluations=evaluations), per_epoch, tunes)
    seen = [plan.trained(done) for done in range(1, plan.total) if plan.evaluates(done)]
    period = math.ceil(places[-1])
    wanted = {math.ceil((period * k + place) * per_epoch) for k in range(epochs) for place in places}
    assert seen == sorted(x for x in wanted if x < plan.steps)
    assert plan.evaluates(plan.total) and plan.trained(plan.total) == epochs * per_epoch


@pytest.mark.parametrize(("budget", "train", "tune"), [*itertools.product((1, 17, 60, 61, 200), (1, 2, 5), (1, 3))])
def test_a_budget_counts_steps_of_either_kind(budget, train, tune):
    """Every method takes the budget's number of optimizer steps, less at most the tuning steps of a cut cycle."""
    span = Span(epochs=1000, warmup_epochs=1, train_per_cycle=train, tune_per_cycle=tune, max_steps=budget)
    assert budget - tune <= alternation(span, 20, tunes=True).total <= budget
    assert alternation(span, 20, tunes=False).total == budget


def tiny(method=Method(), span=None, rows=40):  # noqa: B008  frozen
    torch.manual_seed(0)
    space = HyperSpace([Hyper("p", 0.1, 0, 0.9)], None if span is None else span)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(), torch.nn.Linear(8, 1))
    model = convert(net, space, dropout={"1": "p"})
    x = torch.randn(rows, 4)
    y = x.sum(1, keepdim=True)

    def loss(model, batch, h=None):
        return (model(batch[0]) - batch[1]).square().mean(1)

    problem = TorchProblem(loss, loss, Batches.of((x, y), 10), Batches.of((x, y), 10, seed=1))
    return make_tuner(model, space, problem, Recipe(method, Descent(batch=10, decay="nonmono"), Machine()), 4)


@pytest.mark.parametrize("method", [Method(), Method("delta", tune_spreads=True, tau=1e-3, hyper_optimizer="rmsprop")])
def test_a_tuner_tunes(method):
    tuner = tiny(method)
    before = tuner.hypers()["p"]
    for _ in range(10):
        tuner.train_step()
    tuner.tune_step()
    assert tuner.hypers()["p"] != before
    assert (tuner.optimizers.rho is not None) == method.tune_spreads
    assert tuner.evaluate()["train_steps"] == 10


def test_a_run_ends_when_the_rate_has_decayed(tmp_path):
    tuner = fixed({}, lr=1.5, train=(0, 50), least_lr=0.5)
    log = RunLog(tmp_path / "run", {"experiment": "x", "arm": "y"}, codec=TORCH)
    outcome = alternate(tuner, Alternation(5000, tune_per_cycle=0, evaluate_every=5), log)
    rate = tuner.optimizers.phis()[0].param_groups[0]["lr"]
    assert (outcome.reason, outcome.sentence) == ("exhausted", "the learning rate of φ is below 0.5")
    assert rate < 0.5 <= 2 * rate and outcome.steps < 5000 and outcome.final["step"] == outcome.steps


def test_nothing_tuned_has_no_hyper_optimizer():
    assert tiny(span=[]).optimizers.lam is None


def test_cuda_that_is_absent():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no CUDA device"):
        device_of(Machine(device="cuda"))
    assert device_of(Machine()).type == "cpu"


def test_want_of_memory_names_the_setting():
    with pytest.raises(UserError, match="lower --batch"), out_of_memory_says("lower --batch"):
        torch.empty(1 << 60)


def test_tensorboard_gets_every_record(tmp_path):
    pytest.importorskip("tensorboard")
    config = {"experiment": "t", "config": {}}
    log = RunLog(tmp_path / "run", config, codec=TORCH, sinks=[TensorBoard()])
    alternate(tiny(), alternation(Span(epochs=3, warmup_epochs=1), 4, tunes=True), log)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    run = Run(tmp_path / "run")
    shown = {event.step: event.value for event in events.Scalars("hypers/p")}
    assert len(shown) == len(run.records) > 1
    assert [shown[step] for step in run.steps] == pytest.approx(run.column("hypers/p"), rel=1e-6)
