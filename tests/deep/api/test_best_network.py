"""`load_best`: the network scores what the run recorded as its best."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from deep import load_best  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402
from tests.support.paths import ROOT  # noqa: E402


def test_the_best_cnn_of_a_run_classifies_as_recorded(recorded, data):
    run = recorded("cnn", "--tune", "dropouts", "--evaluations", "2", "--lr", "0.1")
    state = torch.get_rng_state()
    found = load_best(run.path, data["cnn"])
    assert torch.equal(torch.get_rng_state(), state), "the caller's random streams stay where they were"
    best = run.result["best"]
    assert found.hypers == pytest.approx(best["hypers"]) and best["step"] > 0 and not found.network.training
    order = np.random.default_rng(0).permutation(200)  # custom images are shuffled when they are read
    arrays = {name: rows[order] for name, rows in np.load(data["cnn"]).items() if name.startswith("train")}
    whole = torch.tensor(arrays["train_images"]).permute(0, 3, 1, 2) / 255
    train, valid = whole[:128], whole[160:224]
    mean, sd = (getattr(train, kind)((0, 2, 3), keepdim=True) for kind in ("mean", "std"))
    labels = torch.tensor(arrays["train_labels"][160:224]).long()
    with torch.no_grad():
        loss = F.cross_entropy(found.network((valid - mean) / sd), labels)
    assert float(loss) == pytest.approx(best["valid_loss"], rel=1e-4)
    assert found.network.get_submodule("dropout0").p == pytest.approx(best["hypers"]["dropout0"])


def test_the_best_language_model_of_a_run_predicts_as_recorded(recorded):
    run = recorded("lstm", "--eval-batch", "1")
    found = load_best(run.path)
    best = run.result["best"]
    assert found.hypers == pytest.approx(best["hypers"])
    config = run.config["config"]
    from deep.lstm.text import shortened

    text = shortened(found.data, *(config[f"{split}_tokens"] for split in ("train", "valid", "test")))
    words = torch.tensor(text.valid.astype("int64"))[:, None]
    with torch.no_grad():
        out = found.network.decoder(found.network(words[:-1])[0])
    assert float(F.cross_entropy(out.flatten(0, 1), words[1:].flatten())) == pytest.approx(best["valid_loss"], rel=1e-4)


def test_the_best_averaged_model_is_the_mean(recorded):
    run = recorded("lstm", "--average", "1", "--decay", "none", "--lr", "40", "--evaluations", "4")
    assert run.records[-1]["averaged"] == 1.0, "the rule has fired, or this tests nothing"
    found = load_best(run.path)
    assert found.hypers == pytest.approx(run.result["best"]["hypers"])


def test_what_has_no_network_is_refused(recorded, data, tmp_path):
    run = recorded("compare cnn", "--arms", "random")
    with pytest.raises(UserError, match="arm random keeps its best values, but no network"):
        load_best(run.path, data["cnn"])
    with pytest.raises(UserError, match="recorded on other data than digits is here"):
        load_best(run.path, "digits")
    with pytest.raises(UserError, match=r"config.json is missing"):
        load_best(tmp_path)


def test_importing_deep_is_light():
    code = "import deep, sys; print([m for m in ('torch', 'torchvision', 'optuna', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
