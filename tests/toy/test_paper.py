"""The algorithms as the paper prints them: step for step what the fast code does, and short."""

import inspect

import autograd.numpy as np
import pytest
from numpy.testing import assert_allclose

from hyperopt_hn import Hyper, HyperSpace
from toy import paper
from toy.optim import SGD
from toy.responses import LinearResponse, MLPResponse
from toy.tuner import HyperTuner, HyperTunerConfig

INPUTS, RATES, SIGMA = 5, (0.02, 0.3), 0.4
RNG = np.random.RandomState(3)
DATA = {split: (RNG.randn(n, INPUTS), RNG.randn(n)) for split, n in (("train", 12), ("valid", 30))}
START = np.array([-2.0, 0.5])
ROWS = 4  # of a training minibatch


def error(w, x, t):
    return np.mean((x @ w - t) ** 2)


def train_loss(w, lam, data):
    """Squared errors and a penalty for each half of the weights."""
    return error(w, *data) + np.exp(lam[0]) * np.sum(w[:2] ** 2) + np.exp(lam[1]) * np.sum(w[2:] ** 2)


class Batched:
    """The same losses as the fast code takes them: a row for each weight vector, minibatches as slices."""

    space = HyperSpace([Hyper("a", START[0]), Hyper("b", START[1])])

    def rows(self, split):
        return len(DATA[split][0])

    def train_loss(self, w, lam, batch):
        data = tuple(part[batch or slice(None)] for part in DATA["train"])
        return np.stack([train_loss(one, at, data) for one, at in zip(w, lam)])  # noqa: B905  (autograd boxes)

    def valid_loss(self, w, batch):
        return np.stack([error(one, *DATA["valid"]) for one in w])

    def evaluate(self, w, split):
        return {"nll": np.stack([error(one, *DATA["valid"]) for one in w])}


def fast(centre, response):
    """Plain gradient descent on both, one draw of λ a step."""
    settings = HyperTunerConfig(optimizer="sgd", lr_phi=RATES[0], sigma=SIGMA, samples=1, centre=centre, low=-100.0,
                                high=100.0, train_rows=ROWS)  # fmt: skip
    tuner = HyperTuner(Batched(), response, settings)
    tuner._opt_lam = SGD(RATES[1])
    tuner._lam_state = tuner._opt_lam.start([tuner.lam])
    return tuner


def plain(stream, hypernetwork=paper.linear):
    """The fast code draws λ first and then the first row of its minibatch, from one stream."""

    def batch():
        start = int(stream.integers(len(DATA["train"][0]) - ROWS + 1))
        return tuple(part[start : start + ROWS] for part in DATA["train"])

    return paper.Bilevel(train_loss, lambda w, x: error(w, *x), batch, lambda: DATA["valid"], hypernetwork, *RATES)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 40])
def test_algorithm_3_is_the_fast_code_step_for_step(steps):
    tuner = fast("current", LinearResponse(2, INPUTS, scale=0.3))
    phi, stream = np.vstack(tuner.phi), np.random.Generator(np.random.PCG64(7))
    for _ in range(steps):
        tuner.train_step()
        tuner.tune_step()
    lam, w = paper.algorithm_3(plain(stream), phi, START, lambda at: at + SIGMA * stream.standard_normal(2), steps)
    assert_allclose(lam, tuner.lam, rtol=1e-12)
    assert_allclose(w, tuner.response(tuner.phi, tuner.lam[None])[0], rtol=1e-12)
    assert np.abs(lam - START).min() > 1e-4


@pytest.mark.parametrize("steps", [(1, 1), (5, 0), (20, 10)])
def test_algorithm_2_is_the_fast_code_step_for_step(steps):
    response = MLPResponse(2, INPUTS, hidden=6, scale=0.3)
    tuner = fast("initial", response)
    shapes, stream = [p.shape for p in tuner.phi], np.random.Generator(np.random.PCG64(7))
    phi = np.concatenate([p.ravel() for p in tuner.phi])

    def mlp(flat, lam):
        """The hypernetwork on φ as one flat array."""
        parts, at = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            parts.append(np.reshape(flat[at : at + size], shape))
            at += size
        return np.dot(np.maximum(np.dot(lam, parts[0]) + parts[1], 0.0), parts[2]) + parts[3]

    for _ in range(steps[0]):
        tuner.train_step()
    for _ in range(steps[1]):
        tuner.tune_step()
    draw = lambda: START + SIGMA * stream.standard_normal(2)  # noqa: E731
    lam, w = paper.algorithm_2(plain(stream, mlp), phi, START, draw, steps)
    assert_allclose(lam, tuner.lam, rtol=1e-12)
    assert_allclose(w, tuner.response(tuner.phi, tuner.lam[None])[0], rtol=1e-11)


def test_it_fits_on_a_page():
    assert len(inspect.getsource(paper).splitlines()) <= 60
