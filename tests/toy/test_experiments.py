"""Every experiment of toy from its command line, on digits; and a real one killed and resumed."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hyperopt_hn import Run, UserError
from hyperopt_hn.cli.launch import main
from hyperopt_hn.data.catalogue import load
from tests.support.paths import ROOT
from toy.__main__ import PROGRAM
from toy.assemble import fit_sizes, splits
from toy.experiments import LARGE, PRESETS, SMALL

SHORT = {"local-medium": ["--max-seconds", "0.2"], "local-large": ["--max-seconds", "0.2", "--inner-steps", "3"],
         "depth": ["--max-seconds", "0.2", "--evaluate-every", "4"], "crossval": ["--steps", "10"],
         "global-small": ["--steps", "30", "--warmup", "30", "--tune-after", "10"],
         "local-small": ["--steps", "30"]}  # fmt: skip


@pytest.mark.parametrize("name", [experiment.name for experiment in PROGRAM.experiments])
def test_every_experiment_runs_and_leaves_its_arrays(name, tmp_path, capsys):
    words = [name, "--preset", "smoke", "--data", "digits", "--out", str(tmp_path), *SHORT.get(name, [])]
    assert main(PROGRAM, words) == 0, capsys.readouterr().err
    (root,) = tmp_path.iterdir()
    for arm in PROGRAM.find(name).arms:
        run = Run(root / name / arm)
        assert run.finished and run.arrays and np.isfinite(run.column("valid_loss")).all()
        assert run.config["data"]["name"] == ("none" if name == "loss-manifold" else "digits")


def test_every_preset_is_there():
    for experiment in PROGRAM.experiments:
        assert {"paper", "quick", "smoke"} <= set(experiment.presets) == set(PRESETS[experiment.name])


def test_paper_sizes_are_the_published_ones():
    assert (SMALL.n_train, SMALL.n_valid, SMALL.n_test) == (10, 10_000, 10_000)
    assert LARGE.n_train == 50_000


def test_sizes_fit_the_data_and_splits_are_in_order():
    data = load("digits")
    small, large = fit_sizes(SMALL, data), fit_sizes(LARGE, data)
    assert small.n_train == 10 and small.n_valid == len(data.train_images) - 10
    assert large.n_train == 1250 and large.n_valid == 250 and large.n_test == 297
    parts = splits(small, data)
    assert len(parts["train"]) == 10 and len(parts["valid"]) == small.n_valid
    assert parts["valid"].rows[0, :-1] == pytest.approx(data.train_images[10].ravel() / 16.0)
    assert parts["test"].targets[5].argmax() == data.test_labels[5]


def test_surrogates_without_their_truth_name_the_command(tmp_path, capsys):
    words = ["weights-vs-loss", "--arms", "surrogates", "--preset", "smoke", "--data", "digits", "--out", str(tmp_path)]
    assert main(PROGRAM, words) == 2
    assert "python -m toy weights-vs-loss" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["local-smal"], "did you mean 'local-small'"),
        (["local-small", "--step", "5"], "did you mean '--steps'"),
        (["local-small", "--steps", "0"], "at least 1"),
        (["local-small", "--init-lambda", "50"], "at most 20"),
        (["local-small", "--sigma", "-1"], "sigma"),
        (["local-small", "--response", "linaer"], "did you mean 'linear'"),
        (["local-small", "--penalty", "norms"], "no penalty"),
        (["local-small", "--data", "digits", "--train-rows", "50"], "train"),
        (["local-small", "--data-root", "/no/such/folder", "--data", "mnist"], "/no/such/folder"),
        (["weights-vs-loss", "--window", "100000", "--data", "digits"], "does not fit"),
    ],
)
def test_mistakes_write_nothing(words, message, tmp_path, capsys):
    data = [] if "--data" in words else ["--data", "digits"]
    assert main(PROGRAM, [*words, *data, "--out", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def start(path):
    words = ["local-small", "--preset", "smoke", "--data", "digits", "--steps", "300", "--checkpoint-every", "20"]
    return subprocess.Popen(
        [sys.executable, "-m", "toy", *words, "--resume", "--out", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def test_a_killed_experiment_resumes_bit_for_bit(tmp_path):
    process = start(tmp_path / "killed")
    while "step 200/" not in process.stdout.readline():
        assert process.poll() is None, process.communicate()
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for name in ("killed", "whole"):
        process = start(tmp_path / name)
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert ("; resumed" in out) == (name == "killed")
    killed, whole = (next((tmp_path / name).rglob("local-small/hypernet")) for name in ("killed", "whole"))
    for name in ("log.jsonl", "arrays.npz"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_all_with_an_unknown_data_set(tmp_path, capsys):
    assert main(PROGRAM, ["all", "--data", "mnits", "--out", str(tmp_path / "runs")]) == 2
    assert "did you mean 'mnist'" in capsys.readouterr().err


def test_find_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'crossval'"):
        PROGRAM.find("crosval")
