"""Small data, and runs from the command line on them."""

from __future__ import annotations

import numpy as np
import pytest

from hyperopt_hn import Run
from tests.support.image_cases import images


@pytest.fixture
def data(tmp_path):
    """What each experiment runs on: images of 8 x 8 pixels, the help topics."""
    found = images(200, 64)
    names = ("train_images", "train_labels", "test_images", "test_labels")
    np.savez(tmp_path / "mine.npz", **{name: getattr(found, name) for name in names})
    return {"cnn": str(tmp_path / "mine.npz"), "lstm": "topics"}


@pytest.fixture
def recorded(tmp_path, data, capsys, one_thread):
    """Runs an experiment's smoke preset from the command line; its run."""

    from deep.__main__ import main

    def call(experiment, *more):
        kind = "lstm" if "lstm" in experiment else "cnn"
        words = [*experiment.split(), "--preset", "smoke", "--data", data[kind], "--device", "cpu"]
        assert main([*words, "--out", str(tmp_path / "runs"), *more]) == 0, capsys.readouterr()
        (path,) = (tmp_path / "runs").rglob("config.json")
        return Run(path.parent)

    return call
