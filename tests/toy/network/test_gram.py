"""The quadratic form in place of the rows: the same errors and gradients."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from tests.support.toy_cases import draws, rows_and_targets
from toy.network import mlp
from toy.network.gram import Gram


@pytest.mark.parametrize("dark", [False, True])
def test_the_gram_matrix_replaces_the_rows(dark):
    inputs, targets = rows_and_targets(4000, 30)
    if dark:
        inputs[:, 3:7] = 0.0
    rows, w = mlp.augment(inputs), 0.1 * draws(5, 310)
    gram = Gram.of(rows, targets)
    by_rows = grad(lambda w: anp.sum(mlp.mse(w, rows, targets, (30, 10)) ** 2))
    by_gram = grad(lambda w: anp.sum(gram.mse(w) ** 2))
    np.testing.assert_allclose(gram.mse(w), mlp.mse(w, rows, targets, (30, 10)), rtol=1e-13)
    np.testing.assert_allclose(by_gram(w), by_rows(w), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(gram.mse(w[:1]), gram.mse(w)[:1], rtol=1e-14)
    basis, coefficients = draws(3, 310, seed=1), draws(20, 3, seed=2)
    np.testing.assert_allclose(gram.along(basis).mse(coefficients), gram.mse(coefficients @ basis), rtol=1e-12)
