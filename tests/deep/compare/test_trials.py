"""Trials: scores are those of training alone, resuming is exact at any step, diverging and ending are survived."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

from deep.compare.trials import TrialPlan, Trials
from hyperopt_hn import Alternation, Run, RunLog, UserError, alternate
from hyperopt_hn.nn import TORCH
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.search.proposals import Search, searchable
from hyperopt_hn.search.storage import SharedStudy
from hyperopt_hn.search.study import OwnStudy
from tests.support.digits_mlp import SPACE, fixed, same

BOX = searchable(SPACE)
PLAN = TrialPlan(steps=10, patience=0, evaluate_every=4)


def made(method="random", plan=PLAN, seed=0, study=None, build=None):
    return Trials(study or OwnStudy(Search(BOX, method, seed, levels=2)), build or (lambda v, n: fixed(v)), plan)


def run(tuner, steps):
    for _ in range(steps):
        tuner.train_step()
    return tuner


def alone(values, plan=PLAN):
    """The score of a trial trained by a loop of its own."""
    tuner, best = fixed(values), math.inf
    for step in range(1, plan.steps + 1):
        tuner.train_step()
        if step % plan.evaluate_every == 0 or step == plan.steps:
            best = min(best, tuner.evaluate()["valid_loss"])
    return best


@pytest.mark.parametrize("looks", [False, True])
def test_scores_are_those_of_each_trial_trained_alone(looks):
    trials = made()
    for _ in range(3 * PLAN.steps):
        if looks:  # whoever looks on changes nothing
            trials.evaluate()
        trials.train_step()
    assert [t.loss for t in trials.study.trials] == [alone(t.values) for t in trials.study.trials]
    assert len({t.loss for t in trials.study.trials}) == 3
    found = trials.evaluate()
    losses = [t.loss for t in trials.study.trials]
    assert found["valid_loss"] == min(losses) and found["trials"] == 3 and found["train_steps"] == 30
    assert trials.hypers() == pytest.approx(dict(trials.study.trials[int(np.argmin(losses))].values))
    assert {"test_loss", "valid_accuracy", "test_accuracy", "trial_loss"} <= set(found)


CUTS = [*(("random", cut) for cut in (0, 3, 4, 9, 10, 13)), ("grid", 13), ("tpe", 13)]


@pytest.mark.parametrize(("method", "cut"), CUTS)
def test_resuming_is_exact_at_any_step(method, cut):
    whole = made(method)
    whole.evaluate()
    run(whole, cut)
    state = whole.state()
    end = run(whole, 24 - cut).state()
    again = made(method)
    again.load_state(state)
    assert same(end, run(again, 24 - cut).state())
    assert whole.evaluate() == again.evaluate() and whole.hypers() == again.hypers()


def test_models_resume_exactly_behind_their_random_trials():
    plan = TrialPlan(steps=2, patience=0, evaluate_every=2)
    for method in ("tpe", "gp"):
        whole = run(made(method, plan), 22)
        state = whole.state()
        end = run(whole, 4).state()
        again = made(method, plan)
        again.load_state(state)
        assert same(end, run(again, 4).state()) and len(whole.study.trials) == 13


def test_patience_ends_a_trial_at_its_own_evaluations():
    plan = TrialPlan(steps=200, patience=2, evaluate_every=5)
    trials = run(made(plan=plan, build=lambda v, n: fixed(v, lr=1.5, train=(0, 50))), 300)
    lengths = trials.arrays()["trial_steps"]
    assert len(lengths) >= 2 and (lengths < 200).all() and (lengths % 5 == 0).all()


def test_a_trial_that_diverges_is_over_and_the_search_goes_on():
    def build(values, number):
        return fixed(values, lr=1e9 if number == 1 else 0.5)

    trials = run(made(build=build), 30)
    losses = trials.arrays()["trial_losses"]
    assert np.isnan(losses[1])
    assert np.isfinite(losses[[0, 2]]).all() and trials.arrays()["trial_steps"][1] < 10
    assert trials.evaluate()["valid_loss"] == losses[[0, 2]].min()
    state, again = run(trials, 1).state(), made(build=build)
    end = run(trials, 3).state()
    again.load_state(state)
    assert same(end, run(again, 3).state())


def test_a_trial_whose_rate_has_decayed_is_over_and_the_search_goes_on():
    """0.9, halved by the rule twice, is below 0.3."""
    plan = TrialPlan(steps=400, patience=0, evaluate_every=4)
    trials = run(made(plan=plan, build=lambda v, n: fixed(v, lr=0.9, train=(0, 50), least_lr=0.3)), 900)
    lengths, losses = (trials.arrays()[name] for name in ("trial_steps", "trial_losses"))
    assert len(lengths) >= 2 and (lengths < 400).all() and np.isfinite(losses).all()


def test_a_grid_that_is_done_ends_the_run(tmp_path):
    plan = TrialPlan(steps=3, patience=0, evaluate_every=3)
    log = RunLog(tmp_path / "grid", {"experiment": "x", "arm": "grid"}, codec=TORCH)
    schedule = Alternation(steps=1000, tune_per_cycle=0, evaluate_every=6)
    outcome = alternate(made("grid", plan), schedule, log, Progress("x", 1000, quiet=True))
    run_ = Run(tmp_path / "grid")
    assert (outcome.reason, outcome.steps) == ("exhausted", 24) and "--grid-levels" in outcome.sentence
    assert run_.finished and run_.column("trials")[-1] == 8 and len(run_.arrays["trial_losses"]) == 8
    assert run_.result["best"]["valid_loss"] == pytest.approx(run_.arrays["trial_losses"].min())
    assert (np.diff(run_.column("valid_loss")) <= 0).all()


def test_a_shared_study_goes_on_after_a_kill(tmp_path):
    def shared():
        return SharedStudy(Search(BOX, "tpe", 3), f"sqlite:///{tmp_path}/s.db", "s", {"data": "digits"})

    whole = run(made(study=shared()), 14)
    state = whole.state()
    end = run(whole, 12).state()  # told one trial and asked for another after the checkpoint
    again = made(study=shared())
    again.load_state(state)
    assert same(end, run(again, 12).state()) and len(again.study.trials) == 2


def test_a_checkpoint_of_something_else_is_refused():
    with pytest.raises(UserError, match="no checkpoint of a search"):
        made().load_state({"kind": "other"})
    state = fixed({"drop": 0.1}).state()
    with pytest.raises(UserError, match="no checkpoint of a search"):
        made().load_state(state)
