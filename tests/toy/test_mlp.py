"""The toy part's numbers: against slow references, finite differences, closed forms and the published code."""

from __future__ import annotations

import json

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from autograd.misc.flatten import flatten
from autograd.test_util import check_grads

from hyperopt_hn.data import catalogue
from hyperopt_hn.data.locate import MissingData
from tests.reference import toy_loops
from tests.reference.toy_loops import Loops, SlowAdam
from tests.support.paths import ROOT
from toy import mlp, penalties, problems
from toy.gram import Gram
from toy.graph import value_and_grads
from toy.mlp import Layer
from toy.problems import DecayProblem, RowSplit, curve, decay_space
from toy.responses import FactorisedResponse, LinearResponse, MLPResponse, affine
from toy.tuner import HyperTuner, HyperTunerConfig

PUBLISHED = json.loads((ROOT / "tests" / "reference" / "published_hypernet.json").read_text())
GLOBAL = HyperTunerConfig(streams="published")
LOCAL = HyperTunerConfig(streams="published", optimizer="sgd", sigma=0.0, centre="current", high=100.0)
NETWORKS = [(6, 4), (6, 5, 4), (6, 5, 3, 4)]
AXIS = np.linspace(-2.0, 4.0, 200)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def rows_and_targets(rows, inputs, outputs=10, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((rows, inputs)), np.eye(outputs)[rng.integers(0, outputs, rows)]


def decay_problem(splits, sizes, penalty="norm", lam=1.0):
    return DecayProblem(*(RowSplit.of(*s) for s in splits), sizes, penalty, decay_space(penalty, sizes, lam))


@pytest.fixture(scope="module")
def images():
    """784 random pixels: ten rows train, 900 validate (through the Gram matrix), 850 test."""
    return rows_and_targets(10, 784), rows_and_targets(900, 784, seed=1), rows_and_targets(850, 784, seed=2)


@pytest.fixture(scope="module")
def mnist():
    """The published splits: ten images train, the next 10,000 validate."""
    try:
        found = catalogue.load("mnist", download=False)
    except MissingData:
        pytest.skip("MNIST is not on disk")
    x, t = catalogue.flat_rows(found.train_images[:10010], 255.0), catalogue.one_hot(found.train_labels[:10010], 10)
    test = catalogue.flat_rows(found.test_images, 255.0), catalogue.one_hot(found.test_labels, 10)
    return (x[:10], t[:10]), (x[10:], t[10:]), test


# counts, constants, layout


def parameters(response):
    return sum(p.size for p in response.init(np.random.RandomState(0)))


@pytest.mark.parametrize(
    ("sizes", "weights", "factorised"),
    [((784, 10), 7_850, 164_860), ((784, 100, 10), 79_510, 1_669_720), ((784, 100, 100, 10), 89_610, 1_881_820)],
)
def test_published_parameter_counts(sizes, weights, factorised):
    assert mlp.count(sizes) == weights
    assert parameters(FactorisedResponse(weights, weights)) == factorised


@pytest.mark.parametrize(
    ("response", "size"),
    [(MLPResponse(1, 7850), 400_450), (LinearResponse(1, 7850), 15_700), (LinearResponse(10, 7850), 86_350)],
)
def test_published_hypernetwork_sizes(response, size):
    assert parameters(response) == size


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


def test_responses_draw_in_the_published_order():
    slow = toy_loops.draw_layers((1, 5, 8), 0.01, np.random.RandomState(7))
    for mine, theirs in zip(MLPResponse(1, 8, 5).init(np.random.RandomState(7)), sum(slow, ()), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# derivatives


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


def test_the_norms_have_a_gradient_at_zero():
    for function in (penalties.norm, lambda w: anp.sum(penalties.class_norms(w, Layer(0, 2, 2)), axis=1)):
        np.testing.assert_array_equal(grad(lambda w, f=function: anp.sum(f(w)))(np.zeros((1, 6))), np.zeros((1, 6)))


def test_gradients_of_a_list_are_those_of_autograd():
    def loss(phi):
        return anp.sum(anp.sin(phi[0] @ phi[1]), axis=1) + anp.sum(phi[1] ** 2)

    phi = [draws(2, 3), draws(3, 2), draws(4)]
    value, grads = value_and_grads(loss, phi)
    assert value == anp.mean(loss(phi))
    for mine, theirs in zip(grads, grad(lambda phi: anp.mean(loss(phi)))(phi), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)
    assert value_and_grads(lambda phi: 3.0, phi)[0] == 3.0


# penalties


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


def test_evaluation_in_pieces_and_along_a_span_changes_nothing(monkeypatch):
    for sizes in ((6, 4), (6, 5, 4)):
        problem = decay_problem([rows_and_targets(n, 6, 4) for n in (5, 90, 31)], sizes)
        coefficients, basis = draws(9, 2), draws(2, problem.weights)
        whole = problem.evaluate(coefficients @ basis, "test")
        for metric, value in problem.evaluate_span(coefficients, basis, "test").items():
            np.testing.assert_allclose(value, whole[metric], rtol=1e-12)
        with monkeypatch.context() as patch:
            patch.setattr(problems, "CHUNK", 64)
            np.testing.assert_allclose(problem.evaluate(coefficients @ basis, "test")["nll"], whole["nll"], rtol=1e-12)


# against the slow loops and the published numbers


def test_global_training_equals_the_slow_loops(images):
    loops, adam = Loops(*images, (784, 10), (50,)), SlowAdam(1e-4)
    problem = decay_problem(images, (784, 10))
    tuner = HyperTuner(problem, MLPResponse(1, problem.weights), GLOBAL)
    for step in range(20):
        loops.global_step(adam, step)
        tuner.train_step()
    for mine, theirs in zip(tuner.phi, sum(loops.phi, ()), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-12)
    losses = curve(tuner.problem, tuner.response, tuner.phi, AXIS)
    mine = np.column_stack([losses[f"curve_{split}"] for split in ("train", "valid", "test")])
    np.testing.assert_allclose(mine[::40], loops.curve(AXIS[::40]), rtol=1e-11)


def test_local_training_equals_the_slow_loops(images):
    loops, adam, lam = Loops(*images, (784, 10), ()), SlowAdam(0.01, stuck=True), -3.5
    problem = decay_problem(images, (784, 10), lam=-3.5)
    tuner = HyperTuner(problem, LinearResponse(1, problem.weights), LOCAL)
    for _ in range(20):
        lam, _ = loops.local_iteration(adam, lam, callback=False)
        tuner.train_step()
        tuner.tune_step()
        assert tuner.lam[0] == pytest.approx(lam, rel=1e-10)
    found = tuner.evaluate()
    mine = [found[f"{split}_loss"] for split in ("train", "valid", "test")]
    np.testing.assert_allclose(mine, loops.losses(lam), rtol=1e-10)


@pytest.mark.data
def test_global_hypernetwork_meets_the_published_numbers(mnist):
    problem = decay_problem(mnist, (784, 10))
    tuner = HyperTuner(problem, MLPResponse(1, problem.weights), GLOBAL)
    for _ in range(99):  # the published curve number 100 is drawn before update 100
        tuner.train_step()
    losses = curve(tuner.problem, tuner.response, tuner.phi, AXIS)
    for split in ("train", "valid", "test"):
        np.testing.assert_allclose(losses[f"curve_{split}"][::10], PUBLISHED[f"global_{split}"], rtol=0, atol=1e-10)


def local_course(mnist, iterations):
    problem = decay_problem(mnist, (784, 10), lam=-3.5)
    tuner = HyperTuner(problem, LinearResponse(1, problem.weights), LOCAL)
    for _ in range(iterations):
        tuner.train_step()
        tuner.tune_step()
    return tuner.arrays()["path"][:, 1]


@pytest.mark.data
def test_local_lambda_follows_the_published_course(mnist):
    path = local_course(mnist, 300)
    np.testing.assert_allclose(path[:10], PUBLISHED["local_lambda_first"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(path[49:300:50], PUBLISHED["local_lambda_every_50"][:6], rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.data
def test_local_lambda_comes_to_rest_where_the_published_one_does(mnist):
    path = local_course(mnist, 5_000)
    np.testing.assert_allclose(path[49:2950:50], PUBLISHED["local_lambda_every_50"], rtol=0, atol=1e-9)
    assert path[-1] == pytest.approx(PUBLISHED["local_fixed_point"], abs=1e-4)
