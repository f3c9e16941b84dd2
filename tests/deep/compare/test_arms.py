"""The comparisons on the command line: ten arms under one budget, resumed, shared, refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import ROOT

pytest.importorskip("torch")

from deep.__main__ import main
from deep.cnn.images import load_images
from deep.compare.arms import ARMS, NO_LIMIT, Entry, SearchConfig, budget, compared
from deep.compare.presets import CNN, COMPARE, fit_cnn
from deep.training import Span
from hyperopt_hn import Run, RunLog, UserError, alternate
from hyperopt_hn.config import fields, override
from hyperopt_hn.nn import TORCH
from hyperopt_hn.runs.display.progress import Progress

TUNING = ("stn", "delta", "split")
SEARCHING = ("random", "grid", "tpe", "gp")
DATA = {"cnn": "digits", "lstm": "topics"}


def compare(out, *words, side="cnn"):
    return main(["compare", side, "--preset", "smoke", "--data", DATA[side], "--out", str(out), *words])


@pytest.fixture(scope="module", params=["cnn", "lstm"])
def done(request, tmp_path_factory):
    """Every arm of a comparison, run once by its command line."""
    out = tmp_path_factory.mktemp(request.param)
    assert compare(out, side=request.param) == 0
    return request.param, out / f"smoke-{DATA[request.param]}-seed7" / f"compare-{request.param}"


def test_every_arm_leaves_a_finished_run_under_one_budget(done):
    _, root = done
    for arm in ARMS:
        run = Run(root / arm)
        assert run.finished and run.config["arm"] == arm
        taken = run.result["steps"]
        assert taken == 24 or (arm in TUNING and taken == 23), (arm, taken)
        assert run.column("step")[-1] == taken
        assert {"valid_loss", "test_loss", "train_steps"} <= set(run.columns())
        tunes = run.column("train_steps")[-1] < taken
        assert tunes == (arm in TUNING)
        if arm in SEARCHING:
            assert run.column("trials")[-1] == 3 == len(run.arrays["trial_losses"])
            assert run.arrays["trial_steps"].tolist() == [8, 8, 8]
        if arm not in (*TUNING, "fixed", "hand", "plain"):
            assert (np.diff(run.column("valid_loss")) <= 0).all()  # the best state so far
    assert {p.name for p in root.iterdir()} == set(ARMS)


def test_arms_hold_what_their_names_say(done):
    side, root = done
    first = {arm: Run(root / arm).records[0].get("hypers", {}) for arm in ARMS}
    last = {arm: Run(root / arm).records[-1].get("hypers", {}) for arm in ARMS}
    assert first["fixed"] == last["fixed"] and first["plain"] == {} == last["plain"]
    assert first["hand"] == last["hand"] != first["fixed"]
    assert first["stn"] == pytest.approx(first["fixed"]) and last["stn"] != pytest.approx(first["fixed"])
    assert first["delta"] == pytest.approx(first["fixed"]) and last["delta"] != pytest.approx(last["stn"])
    for arm in ("random", "tpe", "gp", "pbt"):
        assert first[arm] == pytest.approx(first["fixed"]), arm  # the first trial starts where self-tuning does
    name = {"cnn": "dropout1", "lstm": "dropouto"}[side]
    assert last["hand"][name] == {"cnn": 0.3, "lstm": 0.68}[side]
    tried = Run(root / "random").arrays[f"trial_{name}"]
    assert len(set(tried.tolist())) == 3 and (tried > 0).all() and (tried < 1).all()
    whole = {"cnn": "cutholes", "lstm": None}[side]
    if whole:
        assert set(Run(root / "random").arrays[f"trial_{whole}"]) <= {0, 1, 2, 3}


@pytest.mark.parametrize("arm", ["tpe", "pbt"])
def test_a_killed_arm_resumes_to_the_same_bytes(tmp_path, arm):
    data = load_images("digits")
    config = override(COMPARE["compare-cnn"]["smoke"], {"trial_steps": 7})
    config = fit_cnn(config, data)

    def tuner():
        return compared(Entry(CNN, config.cnn, config.search, data), arm)

    def log(name, **more):
        return RunLog(tmp_path / name, {"experiment": "x", "arm": arm}, codec=TORCH, **more)

    alternate(*tuner(), log("whole"), Progress("x", 24, quiet=True))

    class Killed(Exception):
        pass

    class Dies:
        """The tuner, until its seventeenth step."""

        def __init__(self, inner):
            self.inner, self.count = inner, 0

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def train_step(self):
            self.count += 1
            if self.count == 17:
                raise Killed
            return self.inner.train_step()

    made, schedule = tuner()
    with pytest.raises(Killed):
        alternate(Dies(made), schedule, log("cut"), Progress("x", 24, quiet=True))
    alternate(*tuner(), log("cut", resume=True), Progress("x", 24, quiet=True))
    whole, cut = (tmp_path / name for name in ("whole", "cut"))
    assert (whole / "log.jsonl").read_bytes() == (cut / "log.jsonl").read_bytes()
    assert (whole / "arrays.npz").read_bytes() == (cut / "arrays.npz").read_bytes()


def test_two_processes_share_a_search(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    words = ["--preset", "smoke", "--data", "digits", "--arms", "random", "--storage", storage]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "deep", "compare", "cnn", *words, "--out", str(tmp_path / name)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    told = [p.communicate(timeout=300) for p in both]
    assert [p.returncode for p in both] == [0, 0], told
    runs = [Run(next((tmp_path / name).glob("*/compare-cnn/random"))) for name in ("a", "b")]
    tried = np.concatenate([run.arrays["trial_dropout0"] for run in runs])
    assert len(set(tried.tolist())) == 6 and [len(run.arrays["trial_losses"]) for run in runs] == [3, 3]
    other = [*words, "--trial-steps", "5", "--out", str(tmp_path / "c")]
    assert main(["compare", "cnn", *other]) == 2  # another budget of a trial: another study


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--storage", "sqlite:////nowhere/at/all.db", "--arms", "tpe"], "--storage"),
        (["--storage", "nonsense", "--arms", "random"], "--storage"),
        (["--trial-steps", "0", "--trial-patience", "0"], "--trial-patience"),
        (["--population", "1"], "--population"),
        (["--tune", "none", "--fix", "all"], "--tune"),
        (["--grid-levels", "0"], "--grid-levels"),
        (["--arms", "hyperband"], "no arm of compare-cnn"),
        (["--replay", "x.csv"], "replays nothing"),
        (["--tune", "dropoutt0"], "did you mean 'dropout0'"),
        (["--grid-levels", "60", "--arms", "grid"], "too large"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, capsys, words, message):
    assert compare(tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.rglob("config.json"))


def test_mistakes_of_the_language_model(tmp_path, capsys):
    assert compare(tmp_path, "--replay", "x.csv", side="lstm") == 2
    assert "replays nothing" in capsys.readouterr().err
    assert compare(tmp_path, "--average", "3", "--decay", "none", "--arms", "pbt", side="lstm") == 2
    assert "--average" in capsys.readouterr().err


def test_one_budget_in_steps_in_seconds_or_in_epochs():
    assert budget(Span(max_steps=700), 31) == 700
    assert budget(Span(max_seconds=5.0), 31) == NO_LIMIT
    assert budget(Span(max_steps=700, max_seconds=5.0), 31) == 700
    assert budget(Span(epochs=10, warmup_epochs=0, train_per_cycle=2, tune_per_cycle=1), 30) == 450


def test_seconds_bind_every_arm(tmp_path):
    """Without a number of steps, epochs end no arm: only the clock does."""
    for arm in ("stn", "fixed", "random", "pbt"):
        assert compare(tmp_path, "--arms", arm, "--max-steps", "0", "--max-seconds", "0.4", "--epochs", "1") == 0
    for path in tmp_path.glob("*/compare-cnn/*/result.json"):
        assert json.loads(path.read_text())["reason"] == "time"
    assert len(list(tmp_path.glob("*/compare-cnn/*/result.json"))) == 4


def test_no_two_flags_share_a_name():
    for presets in COMPARE.values():
        for config in presets.values():
            assert {"storage", "trial_steps", "seed", "max_steps"} <= set(fields(config))


def test_a_trial_without_an_end_is_refused():
    with pytest.raises(UserError, match="without an end"):
        SearchConfig(trial_steps=0, trial_patience=0)
    assert SearchConfig(trial_steps=0).trial_patience == 3


def test_a_finished_comparison_resumes_to_nothing(tmp_path):
    assert compare(tmp_path, "--arms", "plain,random") == 0
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("result.json")}
    assert len(kept) == 2 and compare(tmp_path, "--arms", "plain,random", "--resume") == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("result.json")} == kept
    shutil.rmtree(next(tmp_path.rglob("random")))
    assert compare(tmp_path, "--arms", "plain,random", "--resume") == 0
    assert len(list(tmp_path.rglob("result.json"))) == 2


def test_a_bad_storage_is_refused_before_the_first_arm_trains(tmp_path, capsys):
    assert compare(tmp_path, "--storage", "foo", "--arms", "plain") == 2
    assert "the storage 'foo' is no URL" in capsys.readouterr().err
    assert not list(tmp_path.rglob("plain"))
