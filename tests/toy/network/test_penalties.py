"""Penalties are what their names say."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from autograd.misc.flatten import flatten

from tests.reference import toy_loops
from tests.support.toy_cases import decay_problem, draws, rows_and_targets
from toy.network import penalties
from toy.network.mlp import Layer


def test_the_norms_have_a_gradient_at_zero():
    for function in (penalties.norm, lambda w: anp.sum(penalties.class_norms(w, Layer(0, 2, 2)), axis=1)):
        np.testing.assert_array_equal(grad(lambda w, f=function: anp.sum(f(w)))(np.zeros((1, 6))), np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("penalty", "slow", "sizes"),
    [("norm", toy_loops.unsquared_norm, (6, 5, 4)), ("class_norms", toy_loops.column_norms, (6, 4)),
     ("weights", toy_loops.squared_weights, (6, 5, 4))],
)  # fmt: skip
def test_penalties_are_what_their_names_say(penalty, slow, sizes):
    problem = decay_problem([rows_and_targets(5, 6, 4)] * 3, sizes, penalty)
    w, lam = draws(3, problem.weights), draws(3, problem.space.n, seed=4)
    unflatten = flatten(toy_loops.draw_layers(sizes, 1.0, np.random.RandomState(0)))[1]
    expected = [slow(unflatten(row), at if problem.space.n > 1 else at[0]) for row, at in zip(w, lam, strict=True)]
    np.testing.assert_allclose(problem.penalise(w, lam), expected, rtol=1e-13)
    fit = problem.train_loss(w, lam) - problem.penalise(w, lam)
    np.testing.assert_allclose(fit, problem.evaluate(w, "train")["nll"], rtol=1e-12)
