"""The schedule experiments: every row from the command line, each schedule what it says, mistakes in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

from deep.lstm import experiment as lstm_experiment  # noqa: E402
from deep.lstm import table1 as table1_module  # noqa: E402
from deep.lstm.presets import PRESETS  # noqa: E402
from deep.lstm.table1 import ARMS, build_arm  # noqa: E402
from deep.replay import ReplaySettings  # noqa: E402
from hyperopt_hn import Run, RunLog, UserError, alternate  # noqa: E402
from hyperopt_hn.cli.experiment import Context  # noqa: E402
from hyperopt_hn.course import Gaussian, Replay, Sinusoid  # noqa: E402
from hyperopt_hn.nn import TORCH  # noqa: E402
from hyperopt_hn.runs.display.progress import Progress  # noqa: E402
from tests.hyperopt_hn.nn.tuning.test_checkpoint import equal  # noqa: E402
from tests.support.lstm_cases import config, text  # noqa: E402

SMOKE = PRESETS["table1"]["smoke"]


def along(path):
    """The small language model along a recorded schedule."""
    return replace(config(), schedule=ReplaySettings(str(path)))


def small(**rates):
    lstm = replace(config(), choice=table1_module.ONE, span=replace(SMOKE.lstm.span, epochs=2, evaluations=4.0))
    return replace(SMOKE, lstm=lstm, rates=replace(SMOKE.rates, **rates))


def run(root, arm, given=None, experiment="table1", build=build_arm, resume=False):
    """One arm as the command line runs it."""
    tuner, plan = build(given or small(), arm, Context(text(), root))
    log = RunLog(root / experiment / arm, {"experiment": experiment, "arm": arm, "config": {}}, resume, codec=TORCH)
    alternate(tuner, plan, log, Progress(arm, plan.total, quiet=True))
    return tuner


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    root = tmp_path_factory.mktemp("rows")
    tuners = {arm: run(root, arm) for arm in ARMS}
    return root, tuners


def test_every_row_runs_and_records_its_rate(rows):
    root, _ = rows
    for arm in ARMS:
        made = Run(root / "table1" / arm)
        assert made.finished and made.result["reason"] == "finished"
        assert np.isfinite(made.column("valid_loss")).all() and np.isfinite(made.column("test_loss")).all()
        for name in ("dropouti", "dropouth", "dropoute", "wdrop"):
            assert set(made.column(f"hypers/{name}")) == {0.05}
        assert "hypers/alpha" not in made.columns()


def test_fixed_and_starts(rows):
    root, _ = rows
    column = lambda arm: Run(root / "table1" / arm).column("hypers/dropouto")  # noqa: E731
    assert set(column("fixed")) == {0.68}
    starts = {"stn": 0.05, "init30": 0.3, "init50": 0.5, "init70": 0.7, "init90": 0.9}
    for arm, start in starts.items():
        assert column(arm)[0] == pytest.approx(start, abs=1e-6)
        assert len(set(column(arm))) > 2, f"{arm} tuned nothing"
    assert set(column("final")) == {column("stn")[-1]}


def test_all_rows_train_equally_long(rows):
    root, _ = rows
    assert {Run(root / "table1" / arm).records[-1]["train_steps"] for arm in ARMS} == {30.0}


def test_the_noise_has_its_sd_and_is_clipped(tmp_path):
    tuner, _ = build_arm(small(), "gaussian", Context(text(), tmp_path))
    course = tuner.config.course
    assert isinstance(course, Gaussian)
    drawn = np.array([course.at(k)["dropouto"] for k in range(4000)])
    assert drawn.std() == pytest.approx(0.05, rel=0.05) and drawn.mean() == pytest.approx(0.68, abs=0.003)
    wild, _ = build_arm(small(noise=3.0), "gaussian", Context(text(), tmp_path))
    drawn = [wild.config.course.at(k)["dropouto"] for k in range(50)]
    assert min(drawn) == 0.0 and max(drawn) == 0.99
    other, _ = build_arm(replace(small(), lstm=replace(small().lstm, seed=8)), "gaussian", Context(text(), tmp_path))
    assert other.config.course.at(3) != course.at(3)


def test_the_sinusoids_period_is_the_asked_one(tmp_path):
    """Facts 2.9 L1: the published one was 2π times too short. Measured on the rates that train steps really took."""
    tuner, _ = build_arm(small(period=12.0), "sinusoid", Context(text(), tmp_path))
    assert isinstance(tuner.config.course, Sinusoid)
    taken = []
    for _ in range(48):
        tuner.train_step()
        taken.append(tuner.hypers()["dropouto"])
    spectrum = np.abs(np.fft.rfft(np.array(taken) - np.mean(taken)))
    assert len(taken) / int(np.argmax(spectrum)) == 12.0
    assert max(taken) == pytest.approx(0.78) and min(taken) == pytest.approx(0.58)
    paper = PRESETS["table1"]["paper"].rates
    assert (paper.period, paper.amplitude, paper.noise, paper.rate, paper.start) == (1200.0, 0.1, 0.05, 0.68, 0.05)


def test_the_dropout_of_a_step_is_that_of_its_schedule(tmp_path):
    """The rate reaches the mask: nothing but the schedule differs between a step at 0 and one at 0.99."""
    low, _ = build_arm(small(rate=0.5, amplitude=5.0, period=4.0), "sinusoid", Context(text(), tmp_path))
    low.train_step()
    assert low.hypers()["dropouto"] == 0.5
    dropped = []
    module = low.losses.bare.get_submodule("dropouto")
    module.register_forward_hook(lambda m, args, out: dropped.append(float((out == 0).double().mean())))
    for _ in range(3):
        low.train_step()
    assert dropped[0] > 0.9 and dropped[2] == 0.0


def test_the_replay_equals_the_stns_schedule_at_each_step(rows):
    root, tuners = rows
    stn, course = Run(root / "table1" / "stn"), tuners["replay"].config.course
    assert isinstance(course, Replay)
    steps, rates = stn.column("train_steps"), stn.column("hypers/dropouto")
    assert len(set(rates)) > 2
    for k in range(40):
        last = np.flatnonzero(steps <= k)[-1]
        assert course.at(k)["dropouto"] == rates[last]
    replayed = Run(root / "table1" / "replay")
    for record in replayed.records[1:]:
        assert record["hypers"]["dropouto"] == course.at(int(record["train_steps"]) - 1)["dropouto"]


def test_a_schedule_of_ones_own_from_a_table_or_a_run(rows, tmp_path):
    root, _ = rows
    file = tmp_path / "mine.csv"
    file.write_text("step,dropouto,beta\n0,0.2,1\n10,0.4,2\n")
    tuner, plan = lstm_experiment.lstm(
        replace(config(), schedule=ReplaySettings(str(file))), "network", Context(text(), tmp_path)
    )
    assert plan.tune_per_cycle == 0 and tuner.hypers() == {"dropouto": 0.2, "beta": 1.0}
    for _ in range(11):
        tuner.train_step()
    assert tuner.hypers() == {"dropouto": 0.4, "beta": 2.0}
    again, _ = lstm_experiment.lstm(
        replace(config(), schedule=ReplaySettings(str(root / "table1" / "stn"))), "network", Context(text(), tmp_path)
    )
    assert set(again.hypers()) == {"dropouto", "dropouti", "dropouth", "dropoute", "wdrop"}
    row, _ = build_arm(
        replace(small(), lstm=replace(small().lstm, schedule=ReplaySettings(str(file)))),
        "replay",
        Context(text(), root),
    )
    assert row.hypers()["dropouto"] == 0.2


def test_a_schedule_of_penalties_reaches_the_loss(tmp_path):
    """Facts 2.9 L7: alpha and beta of a replayed schedule were ignored."""
    losses = []
    for value in (0.0, 100.0):
        file = tmp_path / f"{value}.csv"
        file.write_text(f"step,alpha\n0,{value}\n")
        tuner, _ = lstm_experiment.lstm(
            replace(config(), schedule=ReplaySettings(str(file))), "network", Context(text(), tmp_path)
        )
        losses.append(tuner.train_step()["train_loss"])
    assert losses[1] > losses[0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("step,dropuoto\n0,0.1\n", "needs a column 'step' and at least one of"),
        ("dropouto\n0.1\n", "needs a column 'step'"),
        ("", "needs a column 'step'"),
        ("step,dropouto\n0,much\n", "line 2: dropouto is 'much', no number"),
        ("step,dropouto\n0,0.1\n5\n", "line 3: dropouto is None, no number"),
        ("step,dropouto\n0,1.5\n", "dropouto is 1.5 at step 0, outside [0, 1]"),
        ("step,dropouto\n5,0.1\n0,0.2\n", "rising, finite steps"),
        ("step,dropouto\nnan,0.1\n", "rising, finite steps"),
    ],
)
def test_bad_schedules_get_one_line(table, message, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text(table)
    with pytest.raises(UserError) as caught:
        lstm_experiment.lstm(
            replace(config(), schedule=ReplaySettings(str(file))), "network", Context(text(), tmp_path)
        )
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_missing_and_foreign_runs_get_one_line(tmp_path):
    context = Context(text(), tmp_path)
    for arm in ("replay", "final"):
        with pytest.raises(UserError, match="python -m deep table1 --arms stn"):
            build_arm(small(), arm, context)
    with pytest.raises(UserError, match="cannot be read"):
        lstm_experiment.lstm(along(tmp_path / "none.csv"), "network", context)
    log = RunLog(tmp_path / "cnn", {"experiment": "cnn", "config": {}}, codec=TORCH)
    log.record({"step": 0, "valid_loss": 1.0, "hypers": {"hue": 0.1}})
    log.close()
    with pytest.raises(UserError, match="a run of another space"):
        lstm_experiment.lstm(replace(config(), schedule=ReplaySettings(str(tmp_path / "cnn"))), "network", context)
    with pytest.raises(UserError, match="table1 is about dropouto"):
        lstm = replace(small().lstm, choice=replace(table1_module.ONE, tune="dropouti", fix="", init=""))
        build_arm(replace(small(), lstm=lstm), "stn", context)


def test_a_killed_row_goes_on_bit_for_bit(tmp_path, one_thread):
    """A real SIGKILL; masks, positions, hidden states and λ̂ come back."""
    arm = "stn"
    code = (
        "import os, sys, signal; from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "import tests.deep.lstm.test_table1 as t, deep.lstm.experiment as p\n"
        "real, calls = p.train_loss, [0]\n"
        "def loss(*a):\n"
        "    calls[0] += 1\n"
        "    if calls[0] == 19: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*a)\n"
        "p.train_loss = loss\n"
        "t.run(Path(sys.argv[1]), sys.argv[2])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "b"), arm]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "b" / "table1" / arm / "result.json").exists()
    whole, resumed = run(tmp_path / "a", arm), run(tmp_path / "b", arm, resume=True)
    assert equal(whole.state(), resumed.state())
    for name in ("log.jsonl", "arrays.npz"):
        files = [tmp_path / k / "table1" / arm / name for k in "ab"]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_the_final_values_of_a_run_are_held(tmp_path):
    """`--replay-final`: at every step what the recorded schedule ended at."""
    file = tmp_path / "s.csv"
    file.write_text("step,dropouto,alpha\n0,0.1,1.0\n3,0.4,2.0\n")
    replayed = replace(config(), schedule=ReplaySettings(str(file), True))
    tuner, plan = lstm_experiment.lstm(replayed, "network", Context(text(), tmp_path))
    tuner.train_step()
    assert (tuner.hypers()["dropouto"], tuner.hypers()["alpha"]) == (0.4, 2.0) and plan.tune_per_cycle == 0
