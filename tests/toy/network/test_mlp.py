"""The elementary network: counts, layout and losses."""

from __future__ import annotations

import numpy as np
import pytest
from autograd.misc.flatten import flatten

from tests.reference import toy_loops
from tests.support.toy_cases import rows_and_targets
from toy.network import mlp
from toy.responses import FactorisedResponse

NETWORKS = [(6, 4), (6, 5, 4), (6, 5, 3, 4)]


@pytest.mark.parametrize(
    ("sizes", "weights", "factorised"),
    [((784, 10), 7_850, 164_860), ((784, 100, 10), 79_510, 1_669_720), ((784, 100, 100, 10), 89_610, 1_881_820)],
)
def test_published_parameter_counts(sizes, weights, factorised):
    assert mlp.count(sizes) == weights
    response = FactorisedResponse(weights, weights)
    assert sum(p.size for p in response.init(np.random.RandomState(0))) == factorised


def test_the_loss_is_a_gaussian_nll_with_sd_a_tenth():
    assert mlp.gaussian_nll(0.0) == pytest.approx(-1.3836466, abs=5e-8)
    assert mlp.gaussian_nll(0.0391) == pytest.approx(0.571, abs=5e-4)


@pytest.mark.parametrize("sizes", NETWORKS)
def test_layout_and_draws_are_the_published_ones(sizes):
    slow = toy_loops.draw_layers(sizes, 0.3, np.random.RandomState(5))
    w = mlp.init(sizes, 0.3, np.random.RandomState(5))
    np.testing.assert_array_equal(w, flatten(slow)[0])
    inputs, targets = rows_and_targets(7, 6, 4)
    outputs = mlp.predict(w[None], mlp.augment(inputs), sizes)[0]
    np.testing.assert_allclose(outputs, toy_loops.outputs(slow, inputs), rtol=1e-13, atol=1e-14)
    loss = mlp.gaussian_nll(mlp.mse(w[None], mlp.augment(inputs), targets, sizes))
    assert loss[0] == pytest.approx(toy_loops.prediction_loss(slow, (inputs, targets)), rel=1e-12)
