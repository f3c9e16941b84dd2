"""Searches are functions of (seed, trials), find the better half, and share a study without repeating a trial."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hyperopt_hn import Hyper, HyperSpace, UserError
from hyperopt_hn.search.grid import Grid
from hyperopt_hn.search.optuna_bridge import TrialSampler, distributions, flat_values, unflat
from hyperopt_hn.search.proposals import METHODS, MODELS, Search, searchable
from hyperopt_hn.search.storage import SharedStudy
from hyperopt_hn.search.study import OwnStudy
from hyperopt_hn.search.trial import Trial
from tests.support.paths import ROOT
from tests.support.refusals import refused, refused_typed

BOX = HyperSpace([Hyper("rate", 0.3, 0.0, 1.0), Hyper("k", 2, 0, 9, discrete=True)])
SQUARE = HyperSpace([Hyper(name, 0.1, 0.0, 1.0) for name in "abc"])


def bowl(values):
    """A quadratic with its minimum 0 at (0.3, 0.5, 0.7)."""
    return float(sum((values[name] - at) ** 2 for name, at in zip("abc", (0.3, 0.5, 0.7), strict=True)))


def searched(search, loss, count):
    trials = []
    for _ in range(count):
        (values,) = search.ask(trials, 1)
        trials.append(Trial(values, loss(values)))
    return trials


@pytest.mark.parametrize("method", METHODS)
def test_what_comes_next_is_a_function_of_the_trials(method):
    trials = [Trial({"rate": 0.05 * i, "k": i % 10}, float((i - 3) ** 2)) for i in range(1, 14)]
    first, second = (Search(BOX, method, 3, levels=5).ask(trials, 1) for _ in range(2))
    assert first == second
    assert Search(BOX, method, 3, levels=5).ask(trials[:-1], 1) != first[:1]
    assert Search(BOX, method, 4, levels=5).ask(trials, 1) != first[:1]


@pytest.mark.parametrize("method", ["random", "tpe", "grid"])
def test_several_at_once_differ(method):
    first, second = Search(BOX, method, 3, levels=5).ask([Trial({"rate": 0.1, "k": 1}, 1.0)] * 12, 2)
    assert first != second


@pytest.mark.parametrize("method", ["random", *MODELS])
def test_seeds_share_no_proposal(method):
    early = [[Search(BOX, method, seed).ask([Trial({"rate": 0.1, "k": 1}, 1.0)] * n, 1)[0]["rate"] for n in range(4)]
             for seed in (7, 8, 9)]  # fmt: skip
    assert len(set(np.ravel(early))) == 12  # were the seed a sum of seed and number, neighbours would share them


@pytest.mark.parametrize(("method", "count", "seeds"), [("tpe", 25, 4), ("gp", 15, 3)])
def test_models_beat_random_on_average_over_seeds(method, count, seeds):
    best = {}
    for name in (method, "random"):
        runs = [searched(Search(SQUARE, name, seed), bowl, count) for seed in range(seeds)]
        best[name] = np.mean([min(t.loss for t in trials) for trials in runs])
    assert best[method] < 0.5 * best["random"], best


def test_models_speak_after_their_random_trials():
    trials = [Trial({"rate": i / 6, "k": i}, abs(i / 6 - 0.8)) for i in range(6)]
    asked = {(m, n): Search(BOX, m, 0, startup=n).ask(trials, 1) for m in MODELS for n in (3, 10)}
    assert asked["tpe", 10] == asked["gp", 10]  # still random: the same for both
    assert asked["tpe", 3] != asked["tpe", 10] != asked["gp", 3]


@pytest.mark.parametrize("method", MODELS)
def test_models_survive_failed_trials(method):
    trials = [Trial({"rate": 0.5, "k": 1}, float("nan")), Trial({"rate": 0.4, "k": 1}, float("inf"))]
    trials += [Trial({"rate": i / 12, "k": i % 10}, abs(i / 12 - 0.8)) for i in range(12)]
    (values,) = Search(BOX, method, 0).ask(trials, 1)
    assert 0 <= values["rate"] <= 1 and values["k"] in range(10)


def test_the_first_trial_may_be_the_initial_values():
    for method in ("random", *MODELS):
        search = Search(BOX, method, 0, start_at_init=True)
        assert search.ask([], 1) == [{"rate": 0.3, "k": 2.0}]
        assert search.ask([Trial({"rate": 0.3, "k": 2}, 1.0)], 1) != search.ask([], 1)


def test_unknown_methods_and_open_bounds():
    with pytest.raises(UserError, match="did you mean 'random'"):
        Search(BOX, "randon", 0)
    with pytest.raises(UserError, match="finite bounds"):
        Search(HyperSpace([Hyper("decay", 0.1, 0.0)]), "random", 0)


def test_a_searchable_space_has_ends_that_a_trial_can_stand_on():
    space = HyperSpace(
        [
            Hyper("drop", 0.05, 0.0, 0.9),
            Hyper("alpha", 0.05, 0.0),
            Hyper("decay", 1e-3, 0.0, log=True),
            Hyper("rate", 1e-3, 1e-4, 1e-1, log=True),
            Hyper("holes", 1, 0, 3, discrete=True),
            Hyper("far", 0.1, 0.0),
        ],
        tuned=["drop", "alpha", "decay", "rate", "holes"],
    )
    found = searchable(space)
    assert 0 < found["drop"].low < 1e-3 and 0.899 < found["drop"].high < 0.9
    assert found["alpha"].high == pytest.approx(5.0, rel=2e-3) and found["alpha"].low > 0
    assert found["decay"].low == pytest.approx(1e-5, rel=0.02) and found["decay"].high == pytest.approx(0.1, rel=0.02)
    assert (found["holes"].low, found["holes"].high) == (0, 3) and found["far"] == space["far"]
    for hyper in (found[name] for name in found.tuned):
        space.with_init({hyper.name: hyper.low})  # every value is one that a space may start at
        space.with_init({hyper.name: hyper.high})
    for seed in range(20):
        values = found.sample(np.random.default_rng(seed))
        space.with_init(values)


def test_vectors_pass_through_optuna():
    space = HyperSpace([Hyper("decay", 0.1, 1e-3, 1.0, log=True, size=3), Hyper("p", 0.5, 0, 1, step=0.25)])
    values = space.sample(np.random.default_rng(0))
    numbers = flat_values(space, values)
    assert list(numbers) == ["decay[0]", "decay[1]", "decay[2]", "p"] == list(distributions(space))
    again = unflat(space, numbers)
    assert again["decay"].tolist() == values["decay"].tolist() and again["p"] == values["p"]
    for method in MODELS:
        trials = searched(Search(space, method, 0), lambda v: float(np.sum(v["decay"])), 12)
        assert trials[-1].values["decay"].shape == (3,)


GROUPS = {"dropouts": ("a", "b"), "empty": ("z",)}


def test_a_grid_visits_each_point_once_in_a_seeded_order():
    space = HyperSpace([*SQUARE.hypers, Hyper("k", 1, 0, 1, discrete=True), Hyper("z", 0.5, 0, 1)], tuned=[*"abc", "k"])
    grid = Grid(space, 3, GROUPS, seed=1)
    points = [grid.point(i) for i in range(grid.size)]
    assert grid.size == 3 * 3 * 2 and grid.point(grid.size) is None
    assert len({tuple(sorted(p.items())) for p in points}) == grid.size
    assert all(p["a"] == p["b"] and p["k"] in (0, 1) and "z" not in p for p in points)
    assert sorted({p["a"] for p in points}) == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    again, other = (Grid(space, 3, GROUPS, seed) for seed in (1, 2))
    assert [again.point(i) for i in range(grid.size)] == points != [other.point(i) for i in range(grid.size)]
    assert points[: grid.size // 2] != sorted(points, key=lambda p: tuple(p.values()))[: grid.size // 2]


def test_a_group_shares_its_level_as_a_share_of_each_range():
    space = HyperSpace(
        [Hyper("a", 0.1, 0.0, 0.9), Hyper("b", 2, 0, 24, discrete=True), Hyper("c", 1e-3, 1e-4, 1, log=True)]
    )
    first, second = (Grid(space, 2, {"all": "abc"}).point(i) for i in range(2))
    low, high = sorted((first, second), key=lambda p: p["a"])
    assert low == pytest.approx({"a": 0.225, "b": 6, "c": 1e-3}) and high == pytest.approx(
        {"a": 0.675, "b": 18, "c": 0.1}
    )


def test_a_grid_that_is_no_grid():
    many = HyperSpace([Hyper(f"h{i}", 0.5, 0, 1) for i in range(14)])
    assert "--grid-levels" in refused_typed(lambda: Search(many, "grid", 0))
    assert "lower levels" in refused(lambda: Search(many, "grid", 0))
    assert "at least 1" in refused(lambda: Search(SQUARE, "grid", 0, levels=0))
    assert "two groups" in refused(lambda: Search(SQUARE, "grid", 0, groups={"x": "ab", "y": "bc"}))


def test_a_grid_ends():
    search = Search(SQUARE, "grid", 0, levels=2)
    study, seen = OwnStudy(search), []
    while (asked := study.ask()) is not None:
        assert study.ask() == asked  # asked twice, it gives the same twice
        study.tell(asked, 1.0)
        seen.append(tuple(asked.values.items()))
    assert len(seen) == len(set(seen)) == 8


STORAGES = ["sqlite:///{}/study.db", "journal:{}/study.log"]


def shared(tmp_path, storage=STORAGES[0], method="tpe", seed=0, name="s", **terms):
    return SharedStudy(Search(SQUARE, method, seed, levels=2), storage.format(tmp_path), name, terms)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("method", METHODS)
def test_a_shared_study_alone_proposes_what_an_own_one_does(tmp_path, storage, method):
    search = Search(SQUARE, method, 5, levels=3)
    own, other = OwnStudy(search), SharedStudy(search, storage.format(tmp_path), "s", {})
    for number in range(13):
        mine, theirs = own.ask(), other.ask()
        assert mine == theirs and mine.number == number
        loss = bowl(mine.values) if number % 5 else float("nan")
        own.tell(mine, loss)
        other.tell(theirs, loss)
    assert [t.values for t in own.trials] == [t.values for t in other.trials]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_resumed_run_takes_up_the_trials_it_asked_for(tmp_path, storage):
    first = shared(tmp_path, storage)
    for _ in range(2):
        first.tell(asked := first.ask(), bowl(asked.values))
    flight = first.ask()
    state = first.state()
    first.tell(flight, bowl(flight.values))
    later = [first.ask()]
    first.tell(later[0], bowl(later[0].values))
    later.append(first.ask())  # killed here: one trial in flight, one more finished than the checkpoint knows
    neighbour = shared(tmp_path, storage)
    theirs = neighbour.ask()
    again = shared(tmp_path, storage)
    again.load_state(state)
    again.tell(flight, bowl(flight.values))
    for asked in later:
        assert again.ask() == asked
        again.tell(asked, bowl(asked.values))
    new = again.ask()
    assert new.number > theirs.number and new.values != theirs.values
    assert [t.loss for t in again.trials] == [bowl(t.values) for t in again.trials]


@pytest.mark.parametrize("storage", STORAGES)
def test_processes_share_a_study_without_repeating_a_trial(tmp_path, storage):
    code = """
import sys
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.storage import SharedStudy
from tests.hyperopt_hn.search.test_proposals import SQUARE, bowl
for method in ("random", "tpe", "grid"):
    study = SharedStudy(Search(SQUARE, method, 0, levels=3), sys.argv[1], method, {})
    for _ in range(7):
        asked = study.ask()
        study.tell(asked, bowl(asked.values))
        print(method, asked.number, *asked.values.values())
"""
    words = [sys.executable, "-c", code, storage.format(tmp_path)]
    both = [subprocess.Popen(words, cwd=ROOT, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    told = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], told
    lines = [line.split(maxsplit=2) for out, _ in told for line in out.splitlines()]
    for method in ("random", "tpe", "grid"):
        rows = [line[1:] for line in lines if line[0] == method]
        assert sorted(int(number) for number, _ in rows) == list(range(14))
        assert len({values for _, values in rows}) == 14


def test_processes_begin_new_storages_at_the_same_moment(tmp_path):
    """Two that make the tables of one file fail at it, each at another statement; both must come through."""
    code = """
import sys, time
from pathlib import Path
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.storage import SharedStudy, check_storage
from tests.hyperopt_hn.search.test_proposals import SQUARE
here, name = Path(sys.argv[1]), sys.argv[2]
for i in range(4):
    (here / f"{i}-{name}").touch()
    while len(list(here.glob(f"{i}-*"))) < 3:
        time.sleep(0.001)
    storage = f"sqlite:///{here}/{i}.db"
    check_storage(storage)
    SharedStudy(Search(SQUARE, "random", 0), storage, "s", {})
"""
    words = [sys.executable, "-c", code, str(tmp_path)]
    all_three = [subprocess.Popen([*words, name], cwd=ROOT, stdout=-1, stderr=-1, text=True) for name in "abc"]
    told = [p.communicate(timeout=120) for p in all_three]
    assert [p.returncode for p in all_three] == [0, 0, 0], told


def test_a_shared_grid_ends(tmp_path):
    studies = [shared(tmp_path, method="grid") for _ in range(2)]
    seen = []
    for i in range(8):
        asked = studies[i % 2].ask()
        studies[i % 2].tell(asked, 1.0)
        seen.append(tuple(asked.values.values()))
    assert len(set(seen)) == 8 and [s.ask() for s in studies] == [None, None]


def test_a_study_of_other_terms_is_refused(tmp_path):
    shared(tmp_path, steps=100)
    shared(tmp_path, steps=100)
    assert "steps: 100, here 200" in refused(lambda: shared(tmp_path, steps=200))
    assert "--study" in refused_typed(lambda: shared(tmp_path, steps=100, seed=1))
    shared(tmp_path, steps=200, name="other")


def test_a_storage_that_cannot_be_opened_is_a_mistake(tmp_path):
    (tmp_path / "text.db").write_text("no database" * 100)
    (tmp_path / "folder").mkdir()
    for storage in (
        "sqlite:////nowhere/at/all/x.db",
        "sqlite:///{}/text.db",
        "sqlite:///{}/folder",
        "journal:/nowhere/at/all/x.log",
        "journal:{}/text.db",
        "nonsense",
        "nonsense://x",
        "postgresql://localhost:1/none",
        "redis://localhost:1",
    ):
        assert "--storage" in refused_typed(lambda storage=storage: shared(tmp_path, storage)), storage


def test_optuna_needs_no_torch_but_for_the_gaussian_process():
    code = (
        "import sys; from hyperopt_hn.search.proposals import Search;"
        "from tests.hyperopt_hn.search.test_proposals import SQUARE;"
        "Search(SQUARE, 'tpe', 0).ask([], 1); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_the_sampler_is_one_of_optunas():
    import optuna

    sampler = Search(BOX, "random", 1).sampler()
    assert isinstance(sampler, TrialSampler) and isinstance(sampler, optuna.samplers.BaseSampler)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: BOX.to_optuna(trial)["rate"], n_trials=3)
    assert [t.params["rate"] for t in study.trials] == [
        Search(BOX, "random", 1).unmodelled(i)["rate"] for i in range(3)
    ]
