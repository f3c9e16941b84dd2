"""p(λ|λ̂): per-example and shared noise, entropy against the closed form."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from hyperopt_hn import entropy, perturb


def test_rows_differ_unless_shared():
    eps = np.random.default_rng(0).standard_normal((4, 3))
    lam = perturb(np.zeros(3), np.array([1.0, 2.0, 3.0]), eps, np.array([False, True, False]), np)
    assert len(np.unique(lam[:, 0])) == 4 and len(np.unique(lam[:, 1])) == 1
    assert lam[0] == pytest.approx(eps[0] * [1.0, 2.0, 3.0])


def test_gradient_reaches_centre_and_spread():
    eps = np.array([[0.5], [-2.0]])
    assert grad(lambda s: anp.sum(perturb(anp.zeros(1), s, eps, np.array([False]), anp)))(np.ones(1)) == -1.5
    assert grad(lambda m: anp.sum(perturb(m, anp.ones(1), eps, np.array([False]), anp)))(np.zeros(1)) == 2.0


def test_entropy_values():
    """1.4189385 nats for σ = 1 and 0.7257914 for σ = 0.5."""
    assert entropy(np.ones(1), np) == pytest.approx(1.4189385, abs=1e-7)
    assert entropy(np.full(1, 0.5), np) == pytest.approx(0.7257914, abs=1e-7)
    assert entropy(np.ones(3), np) == pytest.approx(3 * 1.4189385332, abs=1e-9)
