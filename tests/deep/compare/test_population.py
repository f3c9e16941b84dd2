"""Population-based training: what is copied is equal, what is changed stays inside, resuming is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from deep.compare.population import Population, PopulationPlan, Values, explored
from deep.compare.trials import TrialPlan as TrialPlan
from deep.compare.trials import Trials
from hyperopt_hn import Hyper, HyperSpace, NonFiniteError, UserError
from hyperopt_hn.nn import Hypers, Optimizers, TorchProblem, TorchTuner, TunerConfig
from hyperopt_hn.search.proposals import Search, searchable
from hyperopt_hn.search.study import OwnStudy
from tests.support.digits_mlp import SPACE, same, tuner_of
from tests.support.tiny_tuner import Nothing

BOX = searchable(SPACE)


def build(member, values, lr=0.5):
    return tuner_of(SPACE.with_tuned([]), 100 * member, values, lr)


def made(size=4, interval=3, seed=0, build=build, **more):
    return Population(BOX, build, PopulationPlan(size, interval, **more), seed)


def run(tuner, steps):
    for _ in range(steps):
        tuner.train_step()
    return tuner


def weights(population, member):
    return population._members[member].state()["model"]


def test_members_follow_their_own_values():
    population = made()
    hypers = [member.hypers() for member in population._members]
    assert hypers[0] == {"drop": 0.1, "decay": 1e-3, "blank": 1}
    assert len({h["drop"] for h in hypers}) == 4
    population._values[2].values["drop"] = 0.77
    population._members[2].train_step()
    assert population._members[2].hypers()["drop"] == 0.77


def test_the_worst_becomes_a_changed_copy_of_the_best():
    population = run(made(resample=0.0), 11)
    before = [weights(population, i) for i in range(4)]
    values = [dict(v.values) for v in population._values]
    batches = [m.state()["batches"] for m in population._members]
    assert not any(same(before[0], other) for other in before[1:])
    run(population, 1)  # the last turn's last step ends the round
    losses = population.arrays()["member_losses"][0]
    best, worst = int(np.argmin(losses)), int(np.argmax(losses))
    assert same(weights(population, worst), weights(population, best))
    state = [population._members[i].state() for i in (worst, best)]
    assert same(state[0]["optimizers"], state[1]["optimizers"]) and same(*(s["schedulers"] for s in state))
    assert not same(state[0]["batches"], state[1]["batches"])
    if worst != 3:
        assert same(state[0]["batches"], batches[worst])
    new, old = population._values[worst].values, values[best]
    assert all(new[n] in (pytest.approx(0.8 * old[n]), pytest.approx(1.2 * old[n])) for n in ("drop", "decay"))
    assert abs(new["blank"] - old["blank"]) == 1 or old["blank"] in (0, 3)
    for i in set(range(4)) - {worst}:
        assert population._values[i].values == values[i]
        if i != 3:  # the last member took its last step just now
            assert same(weights(population, i), before[i])
    assert population.evaluate()["rounds"] == 1 and population.evaluate()["valid_loss"] == losses.min()


def test_changed_values_stay_inside_their_bounds():
    rng = np.random.default_rng(0)
    values, seen = BOX.sample(rng), []
    for _ in range(400):
        values = explored(values, BOX, 0.25, rng)
        seen.append(values)
        for name in BOX.tuned:
            assert BOX[name].low <= values[name] <= BOX[name].high
        SPACE.with_init(values)
    assert {v["blank"] for v in seen} == {0, 1, 2, 3}
    assert all(explored({"drop": 0.5, "decay": 1e-3, "blank": 0}, BOX, 0.0, rng)["blank"] in (0, 1) for _ in range(9))
    fresh = [explored({"drop": 0.5, "decay": 1e-3, "blank": 2}, BOX, 0.25, rng)["drop"] for _ in range(2000)]
    share = np.mean([d not in (0.5 * 0.8, 0.5 * 1.2) for d in fresh])
    assert abs(share - 0.25) < 0.05


@pytest.mark.parametrize("cut", [0, 3, 11, 12, 20])
def test_resuming_is_exact_at_any_step(cut):
    whole = made()
    whole.evaluate()
    run(whole, cut)
    state = whole.state()
    end = run(whole, 26 - cut).state()
    again = made()
    again.load_state(state)
    assert same(end, run(again, 26 - cut).state()) and whole.evaluate() == again.evaluate()
    assert {k: v.tolist() for k, v in whole.arrays().items()} == {k: v.tolist() for k, v in again.arrays().items()}


def test_whoever_looks_on_changes_nothing():
    first = made()
    for _ in range(14):
        first.evaluate()
        first.train_step()
    looked_on = first.state()
    assert same(looked_on, run(made(), 14).state())


def test_a_member_that_diverges_is_replaced():
    population = made(build=lambda member, values: build(member, values, 1e9 if member == 1 else 0.5))
    run(population, 12)
    row = population.arrays()["member_losses"][0]
    assert math.isnan(row[1]) or row[1] == row.max()
    assert all(bool(torch.isfinite(v).all()) for v in weights(population, 1).values())
    doomed = made(build=lambda member, values: build(member, values, 1e9))
    with pytest.raises(NonFiniteError, match="every member"):
        run(doomed, 30)


def test_a_population_of_one_is_refused():
    with pytest.raises(UserError, match="--population 2"):
        made(size=1)
    state = made(size=2).state()
    with pytest.raises(UserError, match="no checkpoint of a population"):
        made(size=3).load_state(state)


MOVING = HyperSpace([Hyper("pull", 0.5, 0.0, 1.2)])


class Walker(torch.nn.Module):
    """One weight that starts at 0 and walks towards 1."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.0))


def walking(space, course=None):
    """A weight that moves only while the hyperparameter is near it: the best value moves as training goes on."""

    def train_loss(model, batch, h):
        near = math.exp(-(((float(h["pull"]) - model.w.item()) / 0.15) ** 2))
        return -near * model.w

    def valid_loss(model, batch):
        return (1 - model.w) ** 2

    model = Walker()
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.05))
    problem = TorchProblem(train_loss, valid_loss, Nothing(), Nothing(), rows=lambda batch: 1)
    return TorchTuner(model, Hypers(space), problem, optimizers, config=TunerConfig(course=course))


def test_where_the_best_value_moves_it_beats_random_constants():
    box, ends = searchable(MOVING), {"pbt": [], "random": []}
    for seed in range(4):
        plan = PopulationPlan(4, 10, start_at_init=False)
        members = Population(box, lambda member, values: walking(MOVING.with_tuned([]), values), plan, seed)
        study = OwnStudy(Search(box, "random", seed))
        drawn = Trials(study, lambda v, n: walking(MOVING.with_init(v).with_tuned([])), TrialPlan(200, 0, 10))
        for name, tuner in (("pbt", members), ("random", drawn)):
            ends[name].append(run(tuner, 800).evaluate()["valid_loss"])
    assert np.mean(ends["pbt"]) < 0.5 * np.mean(ends["random"]), ends


def test_values_are_a_course():
    values = Values({"pull": 0.2})
    tuner = walking(MOVING.with_tuned([]), values)
    values.values["pull"] = 0.9
    tuner.train_step()
    assert tuner.hypers()["pull"] == 0.9
