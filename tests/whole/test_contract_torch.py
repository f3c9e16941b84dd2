"""The contract: on ridge regression with a known λ* the torch tuner is the toy tuner, step for step, and gets there."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hyperopt_hn import UserError, perturb  # noqa: E402
from hyperopt_hn.nn.setup.hypers import Hypers  # noqa: E402
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem  # noqa: E402
from hyperopt_hn.nn.tuning.tuner import TorchTuner  # noqa: E402
from tests.support.tiny_tuner import AffineWeights, Nothing, Ridge, decay_space  # noqa: E402

DRAWS = 10
SIGMA = 0.5


def ridge_problem(ridge: Ridge, space) -> TorchProblem:
    x, y, xv, yv = (torch.as_tensor(a) for a in (ridge.x, ridge.y, ridge.xv, ridge.yv))

    def train_loss(model, batch, h):
        w = model()
        fit = ((w @ x.T - y) ** 2).mean(-1)
        return fit + h["decay"] * (w * w).sum(-1)

    def valid_loss(model, batch):
        return ((model() @ xv.T - yv) ** 2).mean(-1)

    return TorchProblem(train_loss, valid_loss, Nothing(), Nothing(), rows=lambda batch: DRAWS)


def make_tuner(
    ridge: Ridge, response: str = "stn", lam0: float = 0.0, deaf: bool = False, adam: bool = True, lr: float = 0.02
):
    space = decay_space(lam0, SIGMA)
    model = AffineWeights(space, ridge.x.shape[1], deaf=deaf)
    hypers = Hypers(space, dtype=torch.float64)
    phi = torch.optim.Adam(model.parameters(), lr) if adam else torch.optim.SGD(model.parameters(), lr)
    optimizers = Optimizers(phi, torch.optim.Adam([hypers.lam], lr))
    return TorchTuner(model, hypers, ridge_problem(ridge, space), optimizers, response)


def lam_of(tuner: TorchTuner) -> float:
    return tuner.losses.hypers.lam.item()


@pytest.mark.parametrize("response", ["stn", "delta", "implicit"])
@pytest.mark.parametrize("start", [-3.0, pytest.param(1.5, marks=pytest.mark.slow)])
def test_reaches_the_known_optimum(response, start):
    ridge = Ridge.make()
    tuner = make_tuner(ridge, response, start, lr=0.05)
    for _ in range(250 if response == "implicit" else 500):
        tuner.train_step()
        tuner.tune_step()
    assert abs(lam_of(tuner) - ridge.optimum()) < 0.12, (lam_of(tuner), ridge.optimum())
    assert tuner.evaluate()["valid_loss"] < ridge.valid(ridge.optimum()) * 1.003


def test_a_tuner_that_forgets_the_response_is_caught():
    ridge = Ridge.make()
    deaf = make_tuner(ridge, deaf=True)
    deaf.train_step()
    with pytest.raises(UserError, match="does not depend on λ"):
        deaf.tune_step()


def test_a_response_that_is_never_learned_does_not_reach_the_optimum():
    ridge = Ridge.make()
    tuner = make_tuner(ridge, "stn", -3.0, lr=0.05)
    model = tuner.losses.bare
    torch.nn.init.normal_(model.response_weight, generator=torch.Generator().manual_seed(0))
    fixed = model.response_weight.detach().clone()
    for _ in range(500):
        tuner.train_step()
        with torch.no_grad():
            model.response_weight.copy_(fixed)
        tuner.tune_step()
    assert abs(lam_of(tuner) - ridge.optimum()) > 0.12


@pytest.mark.parametrize("response", ["stn", "delta"])
def test_slope_equals_a_finite_difference_through_the_response(response):
    ridge = Ridge.make()
    tuner = make_tuner(ridge, response)
    for _ in range(50):
        tuner.train_step()
    hypers, model = tuner.losses.hypers, tuner.losses.bare
    _, grad = tuner.response.tune(tuner.losses, hypers.lam, False, [None])
    x, y = torch.as_tensor(ridge.xv), torch.as_tensor(ridge.yv)
    centre = hypers.lam.detach() if response == "delta" else torch.zeros_like(hypers.lam)

    def loss(lam):
        w = model.weight + (lam - centre) @ model.response_weight
        return ((w @ x.T - y) ** 2).mean()

    step = 1e-5
    slope = (loss(hypers.lam + step) - loss(hypers.lam - step)) / (2 * step)
    assert torch.allclose(grad, slope, rtol=1e-7)


class ToyNoise:
    """The toy tuner's own stream, as noise for the torch tuner."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def draw(self, rows: int):
        eps = torch.as_tensor(self.rng.standard_normal((rows, 1)))
        return eps, eps[0]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_toy_and_torch_agree_step_for_step(optimizer):
    toy = pytest.importorskip("toy.tuner")
    anp = pytest.importorskip("autograd.numpy")
    from toy.responses import LinearResponse

    ridge = Ridge.make()
    space = decay_space(0.0, SIGMA)

    class ToyRidge:
        def __init__(self):
            self.space = space

        def rows(self, split):
            return len(ridge.x)

        def train_loss(self, w, lam, batch):
            fit = anp.mean((anp.dot(w, ridge.x.T) - ridge.y) ** 2, axis=1)
            return fit + self.space.values(lam, anp)["decay"] * anp.sum(w * w, axis=1)

        def valid_loss(self, w, batch):
            return anp.mean((anp.dot(w, ridge.xv.T) - ridge.yv) ** 2, axis=1)

        def evaluate(self, w, split):
            return {"nll": self.valid_loss(w, None)}

    config = toy.HyperTunerConfig(seed=5, optimizer=optimizer, lr_phi=0.02, lr_lam=0.02, samples=DRAWS, sigma=SIGMA,
                             centre="current", low=-50.0, high=50.0)  # fmt: skip
    theirs = toy.HyperTuner(ToyRidge(), LinearResponse(1, ridge.x.shape[1]), config)
    ours = make_tuner(ridge, "stn", adam=optimizer == "adam")
    ours.noise = ToyNoise(5)
    with torch.no_grad():
        ours.losses.bare.response_weight.copy_(torch.as_tensor(theirs.phi[0]))
        ours.losses.bare.weight.copy_(torch.as_tensor(theirs.phi[1]))
    for step in range(300):
        a, b = theirs.train_step()["train_loss"], ours.train_step()["train_loss"]
        assert a == pytest.approx(b, rel=1e-10), step
        a, b = theirs.tune_step()["valid_loss"], ours.tune_step()["tune_loss"]
        assert a == pytest.approx(b, rel=1e-10), step
    assert float(theirs.lam[0]) == pytest.approx(lam_of(ours), abs=1e-10)
    np.testing.assert_allclose(ours.losses.bare.weight.detach(), theirs.phi[1], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(ours.losses.bare.response_weight.detach(), theirs.phi[0], rtol=1e-9, atol=1e-10)


def test_draws_are_the_cores_perturb():
    space = decay_space(0.3, SIGMA)
    hypers = Hypers(space, dtype=torch.float64)
    eps = torch.randn(7, 1, dtype=torch.float64)
    ours = hypers.draw(eps, eps[0]).detach().numpy()
    theirs = perturb(space.init(), space.spreads(), eps.numpy(), space.shared(), np)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
