"""The two-dimensional problem: its best response is the minimum, the linear one its tangent, and the arrays agree."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from toy import manifold


@pytest.mark.parametrize("lam", [-2.5, -1.0, 0.0, 0.7, 3.0])
def test_the_exact_response_minimises_the_training_loss(lam):
    found = minimize_scalar(lambda w: manifold.train_loss(w, lam), bounds=(-2.0, 2.0), method="bounded",
                            options={"xatol": 1e-10})  # fmt: skip
    assert manifold.best_response(lam) == pytest.approx(found.x, abs=1e-6)
    assert manifold.best_response(lam) == pytest.approx(-np.sin(lam), abs=1e-15)


def test_the_linear_response_touches_it():
    assert manifold.linear_response(0.0) == pytest.approx(0.0, abs=1e-15)
    assert manifold.linear_response(0.3) == pytest.approx(-0.3, abs=1e-12)


def test_the_arrays_hold_surfaces_lines_and_optima():
    arrays = manifold.ClosedForm().arrays()
    assert arrays["train"].shape == (len(arrays["w"]), len(arrays["lam"]))
    assert arrays["train"][7, 20] == pytest.approx(manifold.train_loss(arrays["w"][7], arrays["lam"][20]))
    np.testing.assert_allclose(arrays["valid_best_loss"], np.sin(-np.sin(arrays["valid_best_lam"])), atol=1e-12)
    assert arrays["optimum_best_lam"] == pytest.approx(np.pi / 2.0, abs=0.07)
    assert arrays["optimum_best_loss"] == arrays["valid_best_loss"].min()
