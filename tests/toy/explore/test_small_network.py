"""The few numbers of a page give the losses and weights that the whole network has."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.toy_cases import decay_problem, rows_and_targets
from toy.explore.small_network import SmallNetwork, rounded
from toy.responses import LinearResponse, MLPResponse

LAM = np.linspace(-2.0, 3.0, 7)


def network(kind):
    problem = decay_problem([rows_and_targets(n, 16, 4, seed=n) for n in (7, 40, 30)], (16, 4))
    n = problem.weights
    response = LinearResponse(1, n, 0.3) if kind == "linear" else MLPResponse(1, n, 9, 0.5)
    phi, lam = response.init(np.random.RandomState(1)), np.array([0.5])
    saved = SimpleNamespace(response=response, phi=phi, lam=lam)
    return SmallNetwork.of(saved, problem), lambda at: response(phi, at[:, None])


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_losses_are_those_of_the_weights(kind):
    net, weights = network(kind)
    w = weights(LAM)
    found = net.learned.losses(net.learned_coefficients(LAM), LAM)
    np.testing.assert_allclose(found["train"], net.problem.train_loss(w, LAM[:, None]), rtol=1e-11)
    for split in ("valid", "test"):
        np.testing.assert_allclose(found[split], net.problem.evaluate(w, split)["nll"], rtol=1e-11)
    np.testing.assert_allclose(found["norm"], np.linalg.norm(w, axis=1), rtol=1e-11)
    exact = np.stack([net.exact_response.weights(at) for at in LAM])
    found = net.exact.losses(net.exact_coefficients(LAM), LAM)
    np.testing.assert_allclose(found["train"], net.problem.train_loss(exact, LAM[:, None]), rtol=1e-11)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_rounded_weights_are_within_the_page_s_promise(kind):
    net, weights = network(kind)
    turn, rows = net.directions(LAM)
    assert rows.dtype == np.int16 and len(rows) <= 2 * len(net.learned.basis)
    np.testing.assert_allclose(net.learned_coefficients(LAM) @ turn @ rows, weights(LAM), rtol=0, atol=1e-6)


def test_few_directions_are_enough_where_weights_lie_in_a_plane():
    rng = np.random.RandomState(0)
    a, basis = rng.randn(50, 2) @ rng.randn(2, 30), rng.randn(30, 400)
    for most, count in ((0.1, 2), (1e-6, 4)):  # a second row for each where the first is too coarse
        turn, rows = rounded(a, basis, most)
        assert len(rows) == count
        np.testing.assert_allclose(a @ turn @ rows, a @ basis, rtol=0, atol=most)


def test_only_square_images_have_pictures():
    net, _ = network("linear")
    assert net.image_side() == 4
