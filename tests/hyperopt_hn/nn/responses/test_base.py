"""Responses against closed forms: what STN and Δ-STN learn on quadratics, the linearised pass, implicit gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn.context import at  # noqa: E402
from hyperopt_hn.nn.conversion.converter import convert, general_parameters, response_parameters  # noqa: E402
from hyperopt_hn.nn.responses import STN, Delta, Implicit  # noqa: E402
from hyperopt_hn.nn.responses.delta import linearised  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.setup.hypers import Hypers, Noise  # noqa: E402
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig  # noqa: E402
from hyperopt_hn.nn.tuning.tuner import TorchTuner  # noqa: E402
from tests.reference.unrolled import unrolled_slope  # noqa: E402
from tests.support.tiny_tuner import AffineWeights, FixedNoise, Nothing, Ridge, decay_space  # noqa: E402


def quadrature(points: int = 40):
    """Nodes ε (K, 1) and weights (K,) of E over N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    return torch.as_tensor(nodes)[:, None], torch.as_tensor(weights / weights.sum())


def trained(space: HyperSpace, size: int, train_loss, eps, response: str, steps: int = 400):
    """An AffineWeights trained to the exact minimum of E over the given noise, by SGD with momentum."""
    model = AffineWeights(space, size)
    hypers = Hypers(space, dtype=torch.float64)
    problem = TorchProblem(train_loss, lambda m, b: m().sum(), Nothing(), Nothing(), rows=lambda batch: len(eps))
    phi = torch.optim.SGD(model.parameters(), 0.3, momentum=0.9)
    tuner = TorchTuner(model, hypers, problem, Optimizers(phi), response)
    tuner.noise = FixedNoise(eps)
    for _ in range(steps):
        tuner.train_step()
    return model


@pytest.mark.parametrize("response", ["stn", "delta"])
@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_quadratic_loss_gives_the_exact_response_jacobian_for_every_spread(response, sigma):
    """Facts 5.3: T = -A⁻¹B and w0 = w*(λ0) for f = ½ w'Aw + w'Bλ, whatever σ."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(3, 3))
    a, b = torch.as_tensor(0.3 * half @ half.T + np.eye(3)), torch.as_tensor(rng.normal(size=(3, 2)))
    space = HyperSpace([Hyper("a", 0.4, spread=sigma), Hyper("b", -0.7, spread=sigma)])
    eps = torch.cat([torch.eye(2), -torch.eye(2)]).double() * math.sqrt(2)  # mean 0, covariance I
    lams = torch.as_tensor(space.init()) + sigma * eps

    def train_loss(model, batch, h):
        w = model()
        rows = lams if w.dim() == 2 else torch.as_tensor(space.init())
        return 0.5 * (w @ a * w).sum(-1) + (w * (rows @ b.T)).sum(-1)

    model = trained(space, 3, train_loss, eps, response, 800)
    jacobian = -torch.linalg.solve(a, b)  # (3, 2)
    lam0 = torch.as_tensor(space.init())
    assert torch.allclose(model.response_weight.T, jacobian, atol=1e-6)
    at_centre = model.weight + (lam0 @ model.response_weight if response == "stn" else 0)
    assert torch.allclose(at_centre, jacobian @ lam0, atol=1e-6)


@pytest.mark.parametrize(
    ("sigma", "stn", "delta"),
    [(1.0, (0.49599, -0.19029), (0.5, -0.19183)), (0.5, (0.49992, -0.23443), (0.5, -0.23447))],
)
def test_weight_decay_scalar(sigma, stn, delta):
    """Facts 5.4: f = ½(w - 1)² + e^λ/2 w² at λ0 = 0; STN biases w0, both bias T at a large spread."""
    space = decay_space(0.0, sigma)
    eps, weights = quadrature()

    def train_loss(model, batch, h):
        w = model()[..., 0]
        loss = 0.5 * (w - 1) ** 2 + 0.5 * h["decay"] * w * w
        return loss * weights * len(weights) if w.dim() else loss

    for response, expected in (("stn", stn), ("delta", delta)):
        model = trained(space, 1, train_loss, eps, response, 500)
        assert model.weight.item() == pytest.approx(expected[0], abs=1e-5)
        assert model.response_weight.item() == pytest.approx(expected[1], abs=1e-5)


def small_net(space, gain="delta", dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    model = convert(net, space, gain=gain)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_(0, 0.5)
    return model


def two_hypers(spread: float = 0.5) -> HyperSpace:
    return HyperSpace([Hyper("a", 0.3, spread=spread), Hyper("b", -0.5, spread=spread, shared=True)])


def test_centred_net_at_the_mean_is_the_general_net():
    """Facts 5.5, first half: bit for bit."""
    space = two_hypers()
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    torch.manual_seed(0)
    model = convert(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), space)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_()
    lam, x = torch.tensor(space.init(), dtype=torch.float32), torch.randn(5, 4)
    with at(model, lam, lam):
        assert torch.equal(model(x), plain(x))


def test_slope_at_the_mean_is_the_slope_of_the_plain_response():
    """Facts 5.5, second half: λ - stop(λ̂) has value zero and the right gradient."""
    space = two_hypers()
    model, x, y = small_net(space), torch.randn(20, 4).double(), torch.randn(20, 3).double()
    hypers = Hypers(space, dtype=torch.float64)
    problem = TorchProblem(lambda m, b, h: m(x).sum(), lambda m, b: ((m(x) - y) ** 2).mean(), Nothing(), Nothing())
    tuner = TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)), "delta")
    _, grad = tuner.response.tune(tuner.losses, hypers.lam, False, [None])
    centre = hypers.lam.detach()
    for i in range(2):
        values = []
        for sign in (1, -1):
            lam = centre.clone()
            lam[i] += sign * 1e-5
            with torch.no_grad(), at(model, lam, centre):
                values.append(((model(x) - y) ** 2).mean().item())
        assert grad[i].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


def test_linearised_equals_forward_where_the_net_is_linear_in_its_response():
    """Facts 5.6, first half."""
    space = two_hypers()
    model = convert(nn.Linear(4, 3).double(), space)
    with torch.no_grad():
        for p in response_parameters(model):
            p.normal_()
    centre = torch.as_tensor(space.init())
    lam, x = centre + torch.randn(6, 2).double(), torch.randn(6, 4).double()
    with at(model, lam, centre):
        plain = model(x)
    with linearised(model, lam, centre):
        assert torch.allclose(model(x), plain, rtol=1e-12, atol=1e-12)
    with at(model, lam, centre):
        assert torch.equal(model(x), plain), "a hook was left behind"


def test_linearised_is_the_value_plus_a_central_difference():
    """Facts 5.6, second half: f(0) + (f(δ) - f(-δ)) / 2 to third order in δ."""
    space = two_hypers()
    model = small_net(space)
    centre = torch.as_tensor(space.init())
    x, delta = torch.randn(6, 4).double(), torch.randn(6, 2).double()
    gaps = []
    for size in (1e-2, 5e-3):
        with torch.no_grad():
            with at(model, centre, centre):
                middle = model(x)
            sides = []
            for sign in (1, -1):
                with at(model, centre + sign * size * delta, centre):
                    sides.append(model(x))
            with linearised(model, centre + size * delta, centre):
                gaps.append((model(x) - middle - 0.5 * (sides[0] - sides[1])).abs().max().item())
    assert gaps[0] < 1e-4
    assert gaps[1] < gaps[0] / 6  # an error of third order falls by eight


def test_linearised_is_exception_safe():
    space = two_hypers()
    model = small_net(space)
    centre = torch.as_tensor(space.init())
    with pytest.raises(RuntimeError), linearised(model, centre.repeat(6, 1), centre):
        model(torch.randn(6, 9).double())
    with at(model, centre, centre):
        model(torch.randn(6, 4).double())
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_a_delta_step_trains_each_part_on_its_own_loss():
    """Facts 3.2: the general part on the mean, the response part on the perturbed, linearised loss, in that order."""
    space = two_hypers()
    x, y = torch.randn(12, 4).double(), torch.randn(12, 3).double()
    model, other = small_net(space), small_net(space)
    hypers = Hypers(space, dtype=torch.float64)

    def train_loss(m, batch, h):
        assert set(h) == {"a", "b"}
        return ((m(batch[0]) - batch[1]) ** 2).mean(-1)

    problem = TorchProblem(train_loss, lambda m, b: m(b[0]).sum(), Batches.of((x, y), 12, shuffle=False), Nothing())
    TorchTuner(model, hypers, problem, Optimizers(torch.optim.SGD(model.parameters(), 0.1)), "delta",
               TunerConfig(seed=3)).train_step()  # fmt: skip

    lam, eps = hypers.lam.detach(), Noise(2, 3).draw(12)
    for params, view in (
        (list(general_parameters(other)), lambda: at(other, lam, lam)),
        (list(response_parameters(other)), lambda: linearised(other, hypers.draw(*eps).detach(), lam)),
    ):
        with view():
            loss = ((other(x) - y) ** 2).mean()
        grads = torch.autograd.grad(loss, params)
        with torch.no_grad():
            for p, g in zip(params, grads, strict=True):
                p -= 0.1 * g
    for mine, wanted in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, wanted, rtol=1e-12, atol=1e-13)


def test_batch_norm_statistics_are_counted_once_in_a_delta_step():
    space = two_hypers()
    model = convert(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), space)
    hypers, x = Hypers(space), torch.randn(10, 4)
    problem = TorchProblem(lambda m, b, h: m(b).square().mean(), lambda m, b: m(b).sum(),
                           Batches.of(x, 10), Batches.of(x, 10))  # fmt: skip
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.1), torch.optim.SGD([hypers.lam], 0.1),
                            torch.optim.SGD([hypers.rho], 0.1))  # fmt: skip
    tuner = TorchTuner(model, hypers, problem, optimizers, "delta")
    tuner.train_step()
    assert model[1].num_batches_tracked.item() == 1
    tuner.tune_step()
    assert model[1].num_batches_tracked.item() == 1
    assert model[1].track_running_stats


@pytest.mark.parametrize("sigma", [1.0, 0.5])
def test_entropy(sigma):
    """Facts 5.7: per hyperparameter, in nats."""
    expected = {1.0: 1.4189385, 0.5: 0.7257914}[sigma]
    hypers = Hypers(
        HyperSpace([Hyper("a", 0.0, spread=sigma), Hyper("b", 0.0, spread=sigma), Hyper("c", 0.0, spread=0)])
    )
    assert hypers.entropy().item() == pytest.approx(2 * expected, abs=1e-6)
    assert hypers.sigma().tolist() == pytest.approx([sigma, sigma, 0.0])
    hypers.entropy().backward()
    assert torch.isfinite(hypers.rho.grad).all()
    assert hypers.rho.grad[2] == 0


def test_noise_is_per_example_and_shared_where_asked():
    """Facts 5.9."""
    hypers = Hypers(HyperSpace([Hyper("a", 0.0), Hyper("b", 0.0, shared=True)]))
    lam = hypers.draw(*Noise(2, 0).draw(50))
    assert len(set(lam[:, 0].tolist())) == 50
    assert len(set(lam[:, 1].tolist())) == 1
    values = hypers.values(lam)
    assert values["a"].shape == (50,)
    assert values["b"].shape == ()


def test_ranks_share_the_noise_of_the_doubled_batch():
    whole, first = Noise(3, 7).draw(8)
    for rank in range(2):
        part, same = Noise(3, 7, rank, 2).draw(4)
        assert torch.equal(part, whole[4 * rank : 4 * rank + 4])
        assert torch.equal(same, first)


def implicit_tuner(ridge, method, terms):
    space = decay_space(-0.5)
    model = AffineWeights(space, ridge.x.shape[1])
    hypers = Hypers(space, dtype=torch.float64)
    x, y, xv, yv = (torch.as_tensor(a) for a in (ridge.x, ridge.y, ridge.xv, ridge.yv))

    def train_loss(m, b, h):
        w = m()
        return ((x @ w - y) ** 2).mean() + h["decay"] * (w * w).sum()

    def valid_loss(m, b):
        return ((xv @ m() - yv) ** 2).mean()

    problem = TorchProblem(train_loss, valid_loss, Nothing(), Nothing())
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(ridge.best_weights(-0.5)))
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.1), torch.optim.SGD([hypers.lam], 0.1))
    return TorchTuner(model, hypers, problem, optimizers, Implicit(method, terms, lr=0.05))


@pytest.mark.parametrize(("method", "terms"), [("cg", 8), ("neumann", 400)])
def test_implicit_slope_equals_the_closed_form_and_the_unrolled_one(method, terms):
    ridge = Ridge.make(3)
    tuner = implicit_tuner(ridge, method, terms)
    _, grad = tuner.response.tune(tuner.losses, tuner.losses.hypers.lam, False, [None, None])
    assert grad.item() == pytest.approx(ridge.slope(-0.5), rel=1e-6)

    x, y, xv, yv = (torch.as_tensor(a) for a in (ridge.x, ridge.y, ridge.xv, ridge.yv))
    losses = (
        lambda w, lam: ((x @ w - y) ** 2).mean() + lam.exp()[0] * (w * w).sum(),
        lambda w: ((xv @ w - yv) ** 2).mean(),
    )
    start = torch.zeros(x.shape[1]).double()
    unrolled = unrolled_slope(start, torch.tensor([-0.5]).double(), losses, lr=0.05, steps=400)
    assert grad.item() == pytest.approx(unrolled.item(), rel=1e-6)


def test_implicit_gives_phi_no_gradient_and_tunes_one_decay_per_weight():
    """Very many penalties: each weight its own; the plain model needs no conversion."""
    torch.manual_seed(0)
    x, w = torch.randn(40, 20), torch.zeros(20)
    w[:4] = 2.0
    y, xv = x @ w + torch.randn(40), torch.randn(400, 20)
    yv = xv @ w
    model = nn.Linear(20, 1)
    space = HyperSpace([Hyper("decay", 0.1, low=1e-4, high=10.0, log=True, shared=True, size=20)])
    hypers = Hypers(space)

    def train_loss(m, batch, h):
        return (m(batch[0])[:, 0] - batch[1]).square().mean() + (h["decay"] * m.weight[0] ** 2).sum()

    def valid_loss(m, batch):
        return (m(batch[0])[:, 0] - batch[1]).square().mean()

    problem = TorchProblem(train_loss, valid_loss, Batches.of((x, y), 40), Batches.of((xv, yv), 400))
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.05), torch.optim.Adam([hypers.lam], 0.1))
    tuner = TorchTuner(model, hypers, problem, optimizers, "implicit")
    for _ in range(100):
        tuner.train_step()
    before = tuner.evaluate()["valid_loss"]
    for _ in range(120):
        kept = [p.detach().clone() for p in model.parameters()]
        tuner.tune_step()
        assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))
        tuner.train_step()
    assert tuner.evaluate()["valid_loss"] < 0.75 * before
    decay = torch.tensor(tuner.hypers()["decay"])
    assert decay[:4].mean() < 0.2 * decay[4:].mean()


def test_implicit_refuses_what_it_cannot_differentiate():
    space = HyperSpace([Hyper("p", 0.3, 0.0, 0.9)])
    model, hypers = nn.Linear(3, 1), Hypers(space)
    x = torch.randn(6, 3)
    problem = TorchProblem(lambda m, b, h: torch.dropout(m(b), float(h["p"].detach()), True).square().mean(),
                           lambda m, b: m(b).square().mean(), Batches.of(x, 6), Batches.of(x, 6))  # fmt: skip
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.05), torch.optim.Adam([hypers.lam], 0.1))
    tuner = TorchTuner(model, hypers, problem, optimizers, "implicit")
    tuner.train_step()
    with pytest.raises(UserError, match="does not depend on λ"):
        tuner.tune_step()
    with pytest.raises(UserError, match="method"):
        Implicit("magic")


@pytest.mark.parametrize("linear", [True, False])
def test_delta_tunes_spreads_through_the_same_response(linear):
    space = two_hypers()
    model, hypers = small_net(space), Hypers(space, dtype=torch.float64)
    x, y = torch.randn(16, 4).double(), torch.randn(16, 3).double()

    def square(m, batch, h=None):
        return (m(batch[0]) - batch[1]).square().mean()

    batches = [Batches.of((x, y), 16, shuffle=False) for _ in range(2)]
    problem = TorchProblem(square, square, *batches)
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.01), torch.optim.SGD([hypers.lam], 1.0),
                            torch.optim.SGD([hypers.rho], 1.0))  # fmt: skip
    tuner = TorchTuner(model, hypers, problem, optimizers, Delta(linear), TunerConfig(tau=0.1))
    lam0, rho0 = hypers.lam.detach().clone(), hypers.rho.detach().clone()

    def objective(lam, rho):
        eps, first = Noise(2, 0).draw(16)
        eps[:, 1] = first[1]
        sigma = torch.nn.functional.softplus(rho)
        drawn = lam + sigma * eps
        model.eval()
        with linearised(model, drawn, lam0) if linear else at(model, drawn, lam0):
            loss = (model(x) - y).square().mean()
        return loss - 0.1 * (sigma.log() + 0.5 * math.log(2 * math.pi * math.e)).sum()

    reported = tuner.tune_step()["tune_loss"]
    assert reported == pytest.approx(objective(lam0, rho0).item(), rel=1e-6)
    for start, moved, vary in (
        (lam0, hypers.lam, lambda v: objective(v, rho0)),
        (rho0, hypers.rho, lambda v: objective(lam0, v)),
    ):
        for i in range(2):
            step = torch.zeros(2).double()
            step[i] = 1e-5
            slope = (vary(start + step) - vary(start - step)).item() / 2e-5
            assert (start - moved.detach())[i].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def natural_tuner(hypers_of=None):
    """A converted linear layer fed r(λ): one bounded and one positive hyperparameter, float64."""
    torch.manual_seed(0)
    space = hypers_of or HyperSpace([Hyper("p", 0.3, 0.0, 1.0), Hyper("a", 2.0, low=0.0)])
    model = convert(nn.Linear(3, 2), space, gain="stn").double()
    with torch.no_grad():
        model.response_scale.normal_()
        model.response_shift.normal_()
    hypers = Hypers(space, dtype=torch.float64)
    source = Batches.of(torch.randn(8, 3, dtype=torch.float64), 8)
    problem = TorchProblem(lambda m, b, h: m(b).square().mean(), lambda m, b: m(b).square().mean(), source, source)
    optimizers = Optimizers(torch.optim.SGD(model.parameters(), 0.01), torch.optim.SGD([hypers.lam], 1.0))
    return TorchTuner(model, hypers, problem, optimizers, STN(natural=True))


def test_an_stn_fed_natural_values_has_weights_at_them():
    tuner = natural_tuner()
    losses, x = tuner.losses, torch.randn(4, 3, dtype=torch.float64)
    lam = losses.hypers.lam.detach() + torch.randn(4, 2, dtype=torch.float64)
    r = torch.stack([torch.sigmoid(lam[:, 0]), nn.functional.softplus(lam[:, 1])], 1)
    with tuner.response.view(losses, lam, True):
        got = losses.bare(x)
    with at(losses.bare, r, h=r):
        assert torch.allclose(got, losses.bare(x), atol=1e-12)
    with tuner.response.view(losses, losses.hypers.lam, False), torch.no_grad():
        here = losses.bare(x)
    assert torch.allclose(tuner.collapsed()(x), here)
    with tuner.response.view(losses, losses.hypers.raw({"p": 0.8}), False), torch.no_grad():
        assert torch.allclose(tuner.collapsed({"p": 0.8})(x), losses.bare(x))
    with tuner.response.unmoved(losses, lam), torch.no_grad():
        assert torch.allclose(losses.bare(x), here)


def test_its_gradient_in_raw_lambda_is_a_finite_difference():
    tuner = natural_tuner()
    losses, step = tuner.losses, 1e-6
    start = losses.hypers.lam.detach().clone()

    def loss(lam):
        with tuner.response.view(losses, lam, False), torch.no_grad():
            return float(losses.valid_loss(tuner.problem.valid.next()))

    slopes = [(loss(start + step * e) - loss(start - step * e)) / (2 * step) for e in torch.eye(2).double()]
    tuner.tune_step()
    assert (start - losses.hypers.lam.detach()).tolist() == pytest.approx(slopes, rel=1e-6)


def test_a_discrete_hyperparameter_has_no_natural_slope():
    tuner = natural_tuner(HyperSpace([Hyper("holes", 1, 0, 4, discrete=True)]))
    with pytest.raises(UserError, match="feed raw"):
        tuner.train_step()
