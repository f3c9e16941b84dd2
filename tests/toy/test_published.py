"""The truth of toy and its surrogates on MNIST: the numbers that the published code yields."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hyperopt_hn import UserError
from hyperopt_hn.data.catalogue import flat_rows, load, one_hot
from tests.reference.toy_loops import Data
from tests.support.paths import ROOT
from tests.support.toy_cases import problem_of, run
from toy.baselines.surrogates import Surrogates, SurrogatesConfig
from toy.problems import DecayProblem
from toy.truth.crossval import Crossval, CrossvalConfig
from toy.truth.true_losses import SharedSettings, TrueLosses, TrueLossesConfig

PUBLISHED = json.loads((ROOT / "tests" / "reference" / "published_truth.json").read_text())


@pytest.fixture(scope="module")
def mnist() -> dict[str, Data]:
    try:
        images = load("mnist", download=False)
    except UserError as error:
        pytest.skip(str(error))
    train = flat_rows(images.train_images, images.scale), one_hot(images.train_labels, 10)
    return {"train": train, "test": (flat_rows(images.test_images, images.scale), one_hot(images.test_labels, 10))}


def cut(data: Data, start: int, stop: int) -> Data:
    return data[0][start:stop], data[1][start:stop]


@pytest.fixture(scope="module")
def scatter(mnist: dict[str, Data]) -> DecayProblem:
    train = mnist["train"]
    return problem_of("class_norms", (cut(train, 0, 50_000), cut(train, 50_000, 60_000), mnist["test"]))


@pytest.mark.data
def test_crossval_equals_the_published_code(mnist: dict[str, Data]) -> None:
    train = mnist["train"]
    problem = problem_of("norm", (cut(train, 0, 10), cut(train, 10, 10_010), mnist["test"]))
    arrays = run(Crossval(problem, CrossvalConfig(fine_points=3))).arrays()
    for name in ("train", "valid", "test"):
        assert arrays[f"cross_{name}"] == pytest.approx(PUBLISHED[f"crossval_{name}"], abs=1e-6)


@pytest.mark.data
def test_first_true_losses_equal_the_published_code(scatter: DecayProblem) -> None:
    tuner = run(TrueLosses(scatter, SharedSettings(streams="published"), TrueLossesConfig(nets=3)))
    assert tuner.arrays()["true"] == pytest.approx(PUBLISHED["true_loss"][:3], abs=1e-10)


@pytest.mark.data
@pytest.mark.slow
def test_sixty_networks_and_their_surrogates_equal_the_published_code(scatter: DecayProblem) -> None:
    shared = SharedSettings(streams="published")
    truth = run(TrueLosses(scatter, shared, TrueLossesConfig(nets=60)))
    assert truth.loss == pytest.approx(PUBLISHED["true_loss"], abs=1e-10)
    config = SurrogatesConfig(table=(), stochastic_steps=600, fixed_steps=500)
    tuner = Surrogates(scatter, shared, config, truth.lam, truth.loss)
    tuner.rng = truth.rng  # these numbers are of a first run, whose hypernetworks go on with the networks' stream
    arrays = run(tuner).arrays()
    for name, wanted in PUBLISHED["metrics"].items():
        tolerance = 1e-7 if name == "gp" else 1e-10
        for key in ("bias", "sd", "rmse", "pearson", "spearman"):
            assert float(arrays[f"{name}_{key}"]) == pytest.approx(wanted[key], abs=tolerance)
        at = int(np.argmin(arrays[name]))
        assert arrays[name][at] == pytest.approx(wanted["predicted_best"], abs=tolerance)
        assert arrays["true"][at] == pytest.approx(wanted["actual_at_predicted_best"], abs=1e-10)
