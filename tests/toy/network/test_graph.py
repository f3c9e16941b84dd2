"""Gradients without autograd's copies, and primitives against finite differences."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from autograd.test_util import check_grads

from tests.support.toy_cases import draws
from toy.network import mlp, penalties
from toy.network.gram import Gram
from toy.network.graph import value_and_grads
from toy.network.mlp import Layer
from toy.responses import affine


def primitives():
    w, rows, targets = draws(2, mlp.count((6, 5, 4))), mlp.augment(draws(7, 6)), draws(7, 4, seed=3)
    first, second = mlp.layers((6, 5, 4))
    linear = draws(2, mlp.count((6, 4)))
    gram = Gram.of(rows, targets)
    return {
        "apply_rows": (lambda w: mlp.apply_rows(w, rows, first), w),
        "apply_rows, whole": (lambda w: mlp.apply_rows(w, rows, Layer(0, 6, 4)), linear),
        "apply_hidden in w": (lambda w: mlp.apply_hidden(w, draws(2, 7, 5), second), w),
        "apply_hidden in h": (lambda h: mlp.apply_hidden(w, h, second), draws(2, 7, 5)),
        "relu": (mlp.relu, draws(3, 5)),
        "mean_square": (lambda y: mlp.mean_square(y, targets), draws(2, 7, 4)),
        "gaussian_nll": (mlp.gaussian_nll, draws(3)),
        "mse, two layers": (lambda w: mlp.mse(w, rows, targets, (6, 5, 4)), w),
        "gram": (gram.mse, linear),
        "norm": (penalties.norm, w),
        "class_norms": (lambda w: penalties.class_norms(w, first), w),
        "class_norms, whole": (lambda w: penalties.class_norms(w, Layer(0, 6, 4)), linear),
        "affine in x": (lambda x: affine(x, draws(3, 4), draws(4)), draws(2, 3)),
        "affine in W": (lambda weight: affine(draws(2, 3), weight, draws(4)), draws(3, 4)),
        "affine in b": (lambda bias: affine(draws(2, 3), draws(3, 4), bias), draws(4)),
    }


@pytest.mark.parametrize("name", list(primitives()))
def test_primitives_equal_finite_differences_twice(name):
    function, at = primitives()[name]
    check_grads(function, modes=["rev"], order=2)(at)


def test_gradients_of_a_list_are_those_of_autograd():
    def loss(phi):
        return anp.sum(anp.sin(phi[0] @ phi[1]), axis=1) + anp.sum(phi[1] ** 2)

    phi = [draws(2, 3), draws(3, 2), draws(4)]
    value, grads = value_and_grads(loss, phi)
    assert value == anp.mean(loss(phi))
    for mine, theirs in zip(grads, grad(lambda phi: anp.mean(loss(phi)))(phi), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)
    assert value_and_grads(lambda phi: 3.0, phi)[0] == 3.0
