"""Runs of self-tuning CNNs: killed and resumed bit by bit, the best one at its own λ, replayed step by step."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

from deep.choice import TuningChoice  # noqa: E402
from deep.cnn import experiment  # noqa: E402
from deep.cnn.experiment import CNNConfig  # noqa: E402
from deep.cnn.networks import ImageShape  # noqa: E402
from deep.replay import ReplaySettings  # noqa: E402
from deep.training import Descent, Method, Span  # noqa: E402
from hyperopt_hn import RunLog, UserError, alternate  # noqa: E402
from hyperopt_hn.nn import TORCH, load_checkpoint  # noqa: E402
from hyperopt_hn.runs.display.progress import Progress  # noqa: E402
from tests.hyperopt_hn.nn.tuning.test_checkpoint import equal  # noqa: E402
from tests.support import killed_cnn  # noqa: E402
from tests.support.cnn_cases import count, made  # noqa: E402
from tests.support.image_cases import images  # noqa: E402


def without_python(state):
    """Nothing of ours draws from Python's or numpy's own generators, and a new process seeds them anew."""
    return {**state, "random": {name: state["random"][name] for name in ("torch", "device")}}


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("response", "kill_at"), [("stn", 19), pytest.param("stn", 4, marks=SLOW), pytest.param("delta", 19, marks=SLOW)]
)
def test_a_killed_run_goes_on_bit_by_bit(response, kill_at, tmp_path, one_thread):
    whole = without_python(killed_cnn.run(tmp_path / "whole", response).state())
    command = [sys.executable, "-m", "tests.support.killed_cnn", str(tmp_path / "cut"), response, str(kill_at)]
    assert subprocess.run(command, cwd=ROOT, timeout=300, check=False).returncode == -9
    assert not (tmp_path / "cut" / "result.json").exists()
    resumed = killed_cnn.run(tmp_path / "cut", response, resume=True)
    assert equal(whole, without_python(resumed.state()))
    logs = [(tmp_path / where / "log.jsonl").read_bytes() for where in ("whole", "cut")]
    assert logs[0] == logs[1]
    best = [without_python(load_checkpoint(tmp_path / where / "best.pt")) for where in ("whole", "cut")]
    assert equal(*best)


def finished(config, space, tuner, path):
    log = RunLog(path, {"experiment": "cnn"}, codec=TORCH)
    plan = experiment.plan(config, space)
    return alternate(tuner, plan, log, Progress("cnn", plan.total, quiet=True))


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_the_best_checkpoint_is_itself_at_its_own_lambda(response, tmp_path):
    """The published final test mixed the best weights with the last λ (facts 2.8, C2)."""
    data = images()
    method = Method(response=response, lr_lam=0.05, tune_spreads=True)
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
        batch = next(iter(fresh.problem.test.once()))
        assert float(judge(plain, batch)["loss"]) == pytest.approx(found["test_loss"], rel=1e-5)


def lines(path):
    return [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]


def recorded(tmp_path, data):
    """A run directory of a self-tuning network that also holds a fixed value."""
    choice = TuningChoice(tune="dropouts,cutout", fix="hue", init="hue=0.1", spread=0.3)
    config, space, tuner = made(data, choice=choice, method=Method(lr_lam=0.3))
    path = tmp_path / "tuned"
    log = RunLog(path, {"experiment": "cnn", "config": {}}, codec=TORCH)
    alternate(tuner, experiment.plan(config, space), log, Progress("cnn", 1, quiet=True))
    return path


def test_a_replay_follows_the_run_step_by_step(tmp_path):
    data = images()
    path = recorded(tmp_path, data)
    records = lines(path)
    kind = {"descent": Descent(batch=8, decay="none"), "span": Span(4, 0.5), "schedule": ReplaySettings(str(path))}
    config = experiment.fit(CNNConfig(**kind), data)
    space, course = experiment.space_and_course(config, data)
    wanted = {"dropout0", "dropout1", "dropout2", "cutlength", "cutholes", "hue"}
    assert space.n == 0 and set(space.names) == set(records[0]["hypers"]) == wanted
    tuner = experiment.build_tuner(config, data, space, course)
    assert count(tuner.losses.bare) == count(experiment.plain_network(config.network, ImageShape(4, 3, 8)))
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
    config = CNNConfig(choice=TuningChoice(fix="sat", init="sat=0.7"), schedule=ReplaySettings(str(path), True))
    space, course = experiment.space_and_course(experiment.fit(config, data), data)
    assert course is None and space.n == 0
    values = {name: space[name].init for name in space.names}
    assert values == pytest.approx({**lines(path)[-1]["hypers"], "sat": 0.7})


def test_a_replay_reads_tables_and_refuses_what_does_not_fit(tmp_path):
    data = images()
    (tmp_path / "course.csv").write_text("step,dropout0,other\n0,0.1,9\n5,0.3,9\n")
    config = experiment.fit(CNNConfig(schedule=ReplaySettings(str(tmp_path / "course.csv"))), data)
    space, course = experiment.space_and_course(config, data)
    assert space.names == ("dropout0",) and [course.at(s)["dropout0"] for s in (0, 4, 5, 99)] == [0.1, 0.1, 0.3, 0.3]
    path = recorded(tmp_path, data)
    gray = images(channels=1)
    with pytest.raises(UserError, match="recorded hue, which are no hyperparameters here"):
        experiment.space_and_course(experiment.fit(CNNConfig(schedule=ReplaySettings(str(path))), gray), gray)
    with pytest.raises(UserError, match=r"cannot be read|missing"):
        experiment.space_and_course(
            experiment.fit(CNNConfig(schedule=ReplaySettings(str(tmp_path / "nothing"))), data), data
        )
