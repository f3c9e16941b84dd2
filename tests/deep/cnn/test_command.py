"""`python -m deep cnn`: runs on every kind of images, records what it ran, tells mistakes in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import ROOT

torch = pytest.importorskip("torch")

from deep import __main__ as command  # noqa: E402
from deep.cnn import experiment  # noqa: E402
from deep.cnn.presets import CNN  # noqa: E402
from hyperopt_hn import Run  # noqa: E402
from hyperopt_hn.config import flat_fields  # noqa: E402
from tests.support.image_cases import images  # noqa: E402


@pytest.fixture
def deep(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HYPEROPT_HN_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words):
        extra = [] if "--data" in words else ["--data", "digits"]
        code = command.main(["cnn", "--preset", "smoke", *words, *extra, "--out", str(tmp_path / "runs")])
        return code, *capsys.readouterr()

    return call


def only(tmp_path):
    (path,) = (tmp_path / "runs").glob("*/cnn/network")
    return Run(path)


def save(path, **kind):
    found = images(**kind)
    np.savez(path, train_images=found.train_images, train_labels=found.train_labels, test_images=found.test_images,
             test_labels=found.test_labels)  # fmt: skip
    return str(path)


def test_a_run_records_what_it_ran(deep, tmp_path):
    code, out, _ = deep(
        "--tune", "dropouts,cutout", "--fix", "bright", "--init", "bright=0.3", "--epochs", "2", "--flip"
    )
    assert code == 0 and "on digits into" in out
    run = only(tmp_path)
    config = run.config["config"]
    assert (config["tune"], config["fix"], config["flip"], config["epochs"]) == ("dropouts,cutout", "bright", True, 2)
    assert (config["n_train"], config["n_valid"], config["n_test"]) == (128, 64, 64)
    assert run.config["versions"]["torch"] and run.config["data"]["note"].startswith("scikit-learn's digits")
    names = ["dropout0", "dropout1", "dropout2", "bright", "cutlength", "cutholes"]
    for record in run.records:
        assert list(record["hypers"]) == names and record["hypers"]["bright"] == 0.3
        assert record["hypers"]["cutlength"] == 4 or record["step"] > 0
        assert {"valid_loss", "test_loss", "train_steps"} <= set(record)
        assert 0 <= record["valid_accuracy"] <= 1 and 0 <= record["test_accuracy"] <= 1
    assert set(run.result["best"]) >= {"test_loss", "test_accuracy", "valid_loss", "hypers"}
    assert sorted(p.name for p in run.path.iterdir() if p.suffix == ".pt") == ["best.pt", "checkpoint.pt"]


def test_the_same_seed_leaves_the_same_record(deep, tmp_path):
    logs = []
    for seed in ("3", "3", "4"):
        code, _, _ = deep("--seed", seed, "--overwrite")
        assert code == 0
        logs.append((tmp_path / "runs" / f"smoke-digits-seed{seed}/cnn/network/log.jsonl").read_bytes())
    assert logs[0] == logs[1] != logs[2]


@pytest.mark.parametrize(
    "words",
    [
        ("--response", "delta", "--tune", "delta", "--ranges", "delta", "--hyper-optimizer", "rmsprop"),
        ("--tune", "none", "--amp", "none"),
        ("--tune", "none", "--fix", "dropouts", "--decay", "milestones", "--milestones", "1,2"),
        ("--tune", "all", "--tune-spreads", "false", "--decay", "nonmono", "--window", "1", "--patience", "1"),
        ("--amp", "bf16", "--channels-last", "--crop", "2", "--one-dropout"),
        ("--model", "resnet18", "--epochs", "1", "--n-train", "32", "--n-valid", "32", "--n-test", "8"),
    ],
)
def test_settings_run(deep, words, tmp_path):
    code, _, error = deep(*words)
    assert code == 0, error
    assert only(tmp_path).finished


@pytest.mark.parametrize("kind", [{"channels": 1, "side": 12}, {"side": 16}, {"channels": 2}])
def test_images_of_ones_own(deep, kind, tmp_path):
    path = save(tmp_path / "mine.npz", count=120, **kind)
    code, _, error = deep("--data", path, "--batch", "8", "--epochs", "1")
    assert code == 0, error
    run = only(tmp_path)
    jitters = {1: {"contrast", "bright"}, 2: set(), 3: {"hue", "contrast", "sat", "bright"}}[kind.get("channels", 3)]
    assert set(run.records[0]["hypers"]) & {"hue", "contrast", "sat", "bright"} == jitters
    assert run.config["data"]["name"] == "mine.npz" and run.config["config"]["n_train"] == 96


def test_auto_says_what_it_took(deep, tmp_path):
    code, out, _ = deep("--data", "auto", "--epochs", "1")
    assert code == 0 and "on digits into" in out
    assert "CIFAR-10 was not on disk" in only(tmp_path).config["data"]["note"]


def test_a_finished_run_is_replayed(deep, tmp_path):
    assert deep("--lr-lam", "0.3")[0] == 0
    first = only(tmp_path)
    code, _, error = deep("--replay", str(first.path))
    assert code == 0, error
    (path,) = set((tmp_path / "runs").glob("*/cnn/network")) - {first.path}
    second = Run(path)
    for record in second.records[1:]:
        step = record["train_steps"] - 1
        followed = [r for r in first.records if r["train_steps"] <= step][-1]
        assert record["hypers"] == pytest.approx(followed["hypers"])
    assert set(second.records[-1]["hypers"]) == set(first.records[-1]["hypers"])
    assert "tune_loss" not in second.records[-1]


MISTAKES = [
    (["--model", "smal"], "--model: no choice 'smal'; did you mean 'small'"),
    (["--modle", "small"], "did you mean '--model'"),
    (["--milestones", "3,2"], "--milestones 3,2: give epochs above 0 that rise"),
    (["--tune", "dropuot0"], "did you mean 'dropout0'"),
    (["--tune", "hue"], "gray images have no 'hue'"),
    (["--fix", "dropout4"], "its dropouts are dropout0, dropout1, dropout2"),
    (["--init", "sat=0.3"], "gray images have no 'sat'"),
    (["--init", "bright=2"], "between"),
    (["--tune", "cutholes"], "cutholes does nothing without cutlength"),
    (["--batch", "5000"], "does not fit 128 training images"),
    (["--batch", "100"], "does not fit 64 validation images"),
    (["--percent-valid", "0"], "above 0"),
    (["--model", "alexnet"], "--model small"),
    (["--response", "gamma"], "argument --response: no choice 'gamma'"),
    (["--replay", "nowhere"], "nowhere"),
    (["--amp", "fp16"], "argument --amp: no choice 'fp16'; did you mean 'bf16'"),
    (["--data", "cifar11"], "did you mean"),
    (["--data", "nothing.npz"], "nothing.npz"),
    (["--compile", "default", "--response", "delta"], "does not trace forward mode"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_mistakes_get_one_line_code_2_and_write_nothing(deep, words, message, tmp_path):
    code, _, error = deep(*words)
    assert code == 2 and message in error, error
    assert error.count("\n") == 1 and error.startswith("error: ") and not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_asked_for_and_absent(deep, tmp_path):
    code, _, error = deep("--device", "cuda")
    assert code == 2 and "--device cpu" in error and error.count("\n") == 1 and not (tmp_path / "runs").exists()


def test_wrong_images_of_ones_own(deep, tmp_path):
    found = images()
    names = ("train_images", "train_labels", "test_images", "test_labels")
    whole = {name: getattr(found, name) for name in names}
    for change, message in (
        ({"train_images": found.train_images.astype(np.float32)}, "uint8"),
        ({"train_labels": found.train_labels[:-1]}, "each its label"),
        ({"train_images": found.train_images[:, :, :6], "test_images": found.test_images[:, :, :6]}, "8 x 6 pixels"),
    ):
        np.savez(tmp_path / "wrong.npz", **{**whole, **change})
        code, _, error = deep("--data", str(tmp_path / "wrong.npz"), "--batch", "8")
        assert code == 2 and message in error and error.count("\n") == 1


@pytest.mark.parametrize("wanted", [torch.OutOfMemoryError("CUDA out of memory"), None])
def test_out_of_memory_says_what_to_lower(deep, wanted, monkeypatch):
    """On the processor by an allocation that no machine can give; a GPU's error is torch's own class."""

    def build(*_):
        if wanted is not None:
            raise wanted
        return torch.empty(1 << 60)

    monkeypatch.setattr(experiment, "build_tuner", build)
    code, _, error = deep()
    assert code == 2 and "out of" in error and "--batch" in error and error.count("\n") == 1


def test_presets_say_what_they_are():
    assert {"paper", "quick", "smoke"} <= set(CNN)
    paper, delta = flat_fields(CNN["paper"]), flat_fields(CNN["delta"])
    published = {"model": "alexnet", "tune": "stn", "batch": 128, "lr": 0.01, "momentum": 0.9, "tau": 1e-3}
    published |= {"tune_spreads": True, "lr_lam": 3e-3, "lr_rho": 3e-3, "spread": 0.5, "warmup_epochs": 5}
    published |= {"train_per_cycle": 2, "tune_per_cycle": 1, "window": 60, "factor": 0.1, "patience": 75}
    assert {name: paper[name] for name in published} == published
    published = {"ranges": "delta", "tune": "delta", "response": "delta", "lr": 0.03, "factor": 0.2, "epochs": 200}
    published |= {"milestones": (60, 120, 180), "hyper_optimizer": "rmsprop", "lr_lam": 0.01, "train_per_cycle": 5}
    assert {name: delta[name] for name in published} == published


def test_help_shows_the_settings(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["cnn", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    shown = (
        "model tune fix init spread response tune-spreads tau replay replay-final amp compile channels-last one-dropout"
    )
    for flag in [*shown.split(), "warmup-epochs", "patience", "window", "n-train", "percent-valid", "flip", "crop"]:
        assert f"--{flag} " in text, flag
    assert "never fetched" in text


def call_outside(folder, *words, processes=0):
    head = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    line = [sys.executable, "-W", "ignore", *head, "-m", "deep", "cnn", "--preset", "smoke", "--data", "digits", *words]
    return subprocess.run([*line, "--out", str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip


@pytest.mark.slow
def test_two_processes_write_one_run(tmp_path):
    done = call_outside(tmp_path, "--tune", "dropouts", processes=2)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("finished after") == 1
    run = Run(tmp_path / "smoke+tune=dropouts-digits-seed7/cnn/network")
    assert run.finished and run.records[-1]["train_steps"] == 3 * (128 // (2 * 32))
    assert done.stderr.count("Traceback") == 0
    generators = torch.load(run.path / "checkpoint.pt", weights_only=True)["state"]["state"]["tuner"]["batches"][0]
    first, second = generators["generators"]
    assert not torch.equal(first, second), "the processes draw other augmentations"


@pytest.mark.slow
def test_no_traceback_in_a_process_of_its_own(tmp_path):
    done = call_outside(tmp_path, "--batch", "5000")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1


@pytest.mark.data
def test_the_jpeg_copy_trains(tmp_path, capsys):
    words = ["cnn", "--preset", "smoke", "--data", "cifar10-jpeg", "--epochs", "1", "--out", str(tmp_path / "runs")]
    assert command.main(words) == 0 and "on cifar10-jpeg into" in capsys.readouterr().out
    run = only(tmp_path)
    assert len(run.records[0]["hypers"]) == 11 and run.config["data"]["note"].startswith("cifar10-jpeg")
    assert json.loads((run.path / "result.json").read_text())["best"]["test_accuracy"] < 0.6
