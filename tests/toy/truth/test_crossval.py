"""Networks trained to convergence at given λ, against the slow loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.reference import toy_truth_loops as slow
from tests.reference.toy_loops import Data
from tests.support.toy_cases import problem_of, random_parts, run, same, stored
from toy.truth.crossval import Crossval, CrossvalConfig, lowest


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data, Data]:
    return random_parts()


def test_crossval_equals_the_slow_loop(parts: tuple[Data, Data, Data]) -> None:
    config = CrossvalConfig(points=5, fine_points=7, steps=60, steps_per_unit=7)
    arrays = run(Crossval(problem_of("norm", parts), config)).arrays()
    for lam, train, valid in zip(arrays["cross_lambda"], arrays["cross_train"], arrays["cross_valid"], strict=True):
        assert (train, valid) == pytest.approx(slow.crossval_losses(parts[0], parts[1], lam, 60), rel=1e-8)
    assert np.array_equal(arrays["fine_lambda"], np.linspace(-2, 4, 7))


def test_crossval_resumes_bit_for_bit(parts: tuple[Data, Data, Data], tmp_path: Path) -> None:
    config = CrossvalConfig(points=3, fine_points=6, steps=25)
    whole = run(Crossval(problem_of("norm", parts), config))
    half, rest = run(Crossval(problem_of("norm", parts), config), 2), Crossval(problem_of("norm", parts), config)
    rest.load_state(stored(half.state(), tmp_path))
    assert same(run(rest, 1).arrays(), whole.arrays())
    assert whole.evaluate()["valid_loss"] == whole.arrays()["fine_valid"].min() and whole.tune_step() == {}


def test_optimum_is_a_parabola_s_and_never_leaves_the_grid() -> None:
    x = np.linspace(-2.0, 4.0, 25)
    found = lowest({"lambda": x, "valid": (x - 1.83) ** 2 + 0.5, "train": 3.0 * x**2})
    assert [float(found[key]) for key in ("lambda", "valid", "train")] == pytest.approx([1.83, 0.5, 3.0 * 1.83**2])
    assert float(lowest({"lambda": x, "valid": x})["lambda"]) == -2.0
    assert float(lowest({"lambda": x, "valid": np.ones(25)})["lambda"]) == -2.0


def test_crossval_wants_one_hyperparameter(parts: tuple[Data, Data, Data]) -> None:
    with pytest.raises(ValueError, match="norm"):
        Crossval(problem_of("class_norms", parts), CrossvalConfig())
