"""Claims against slopes in closed form: ridge regression, whose best weights are known at each λ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import nn  # noqa: E402

from deep.study.slopes.fixed_training import beside, retrained, trained, two_trials  # noqa: E402
from deep.study.slopes.slope_claims import SHARE, implicit, learned, stepped, unrolled  # noqa: E402
from deep.study.slopes.slope_problems import HIDDEN, PROBLEMS, SETTLING, SlopeProblem  # noqa: E402
from hyperopt_hn import Hyper  # noqa: E402
from hyperopt_hn.nn import at, squared_norm  # noqa: E402
from hyperopt_hn.nn.layers.masks import keep_mask  # noqa: E402

LOW, HIGH, STRENGTH = 1e-3, 10.0, 0.3


@dataclass(frozen=True)
class Ridge(SlopeProblem):
    """Squared errors in place of cross entropies."""

    def valid_loss(self, model, rows):
        return (model(rows[0]) - rows[1]).square().mean()


def rows(seed):
    random = np.random.RandomState(seed)
    truth = np.array([[1.0], [-2.0], [0.5], [0.0]])
    made = []
    for _ in range(2):
        x = random.randn(200, 4)
        made.append(
            tuple(torch.tensor(part, dtype=torch.float32) for part in (x, x @ truth + 0.5 * random.randn(200, 1)))
        )
    return tuple(made)


def squared(model, batch, h):
    return (model(batch[0]) - batch[1]).square()[:, 0] + h["decay"] * squared_norm(model)


RIDGE = Ridge(
    "ridge", (Hyper("decay", STRENGTH, LOW, HIGH, log=True, shared=True),), (0.1, STRENGTH, 1.0), squared,
    lambda: nn.Linear(4, 1, bias=False), rows,
)  # fmt: skip


def exact(strength=STRENGTH, sign=1):
    """The best weights, (4,), and dL_V by a raw unit, by linear algebra; validation labels times a sign."""
    (x, y), (v, u) = ((a.double().numpy(), b.double().numpy()[:, 0]) for a, b in rows(1))
    hessian = x.T @ x / len(x) + strength * np.eye(4)
    w = np.linalg.solve(hessian, x.T @ y / len(x))
    moved = -np.linalg.solve(hessian, w)
    share = math.log(strength / LOW) / math.log(HIGH / LOW)
    by_raw = strength * math.log(HIGH / LOW) * share * (1 - share)
    return w, float(2 * (v @ w - sign * u) @ (v @ moved) / len(v) * by_raw)


def quotient(reach):
    """(L_V(raw + reach) - L_V(raw - reach)) / 2 reach of the best weights there."""
    raw = math.log(math.log(STRENGTH / LOW) / math.log(HIGH / STRENGTH))  # the logit of the way from low to high
    losses = []
    for way in (1, -1):
        w = exact(LOW * math.exp(math.log(HIGH / LOW) / (1 + math.exp(-raw - way * reach))))[0]
        v, u = (part.double().numpy() for part in rows(1)[1])
        losses.append(np.mean((v @ w - u[:, 0]) ** 2))
    return float(losses[0] - losses[1]) / (2 * reach)


@pytest.fixture(scope="module")
def network():
    space = RIDGE.space(1)
    return trained(RIDGE, space, rows(1)[0], torch.as_tensor(space.init()).float(), 3, 500)


def test_retraining_and_the_implicit_theorem_find_the_slope(network):
    w, slope = exact()
    assert network.model.weight.detach().numpy()[0] == pytest.approx(w, abs=1e-3)
    assert implicit(network, rows(1)) == pytest.approx([slope], rel=1e-2)
    assert np.array(retrained(RIDGE, rows(1), 1, 1, 500, 2)) == pytest.approx(np.full((1, 2), quotient(0.25)), rel=1e-2)
    assert quotient(0.25) == pytest.approx(slope, rel=0.1)
    assert two_trials(RIDGE, rows(1), 1, 1, 500) == pytest.approx([quotient(1.0)], rel=1e-2)


@pytest.mark.parametrize(("response", "sign"), [("split", 1), ("delta", 1), ("split", -1)])
def test_a_learned_response_finds_the_slope(response, sign):
    """At the end of training, though with labels turned round the network validates best before it."""
    train, (v, u) = rows(1)
    claim = learned(RIDGE, (train, (v, sign * u)), 1, response, 3, 500)
    assert claim == pytest.approx([exact(sign=sign)[1]], rel=0.4)


def test_unrolled_steps_are_those_of_torchs_adam(network):
    """Its own state goes on at λ a little up and down; five steps are far from all of the slope."""
    claim = unrolled(network, rows(1), 5, 9, draws=1)
    losses = []
    for moved in (-0.01, 0.01):
        h = RIDGE.space(1).values(network.lam.double() + moved, torch)
        weight = network.model.weight.detach().double().requires_grad_()
        adam = torch.optim.Adam([weight], SHARE * network.rate())
        state = network.optimizer.state[network.model.weight]
        adam.state[weight] = {"step": state["step"].clone()} | {k: state[k].double() for k in ("exp_avg", "exp_avg_sq")}
        x, y = (part.double() for part in rows(1)[0])
        for _ in range(5):  # 200 rows, a batch of 200: each is the whole, in some order
            adam.zero_grad()
            ((x @ weight.T - y).square().mean() + h["decay"] * weight.square().sum()).backward()
            adam.step()
        v, u = (part.double() for part in rows(1)[1])
        losses.append(float((v @ weight.detach().T - u).square().mean()))
    assert claim == pytest.approx([(losses[1] - losses[0]) / 0.02], rel=1e-2)
    assert 0 < claim[0] / exact()[1] < 0.9


def test_masks_are_differentiated_by_their_scale_alone():
    """One step of a dropout rate: the gradient that comes back is that of masks held fixed while 1 / (1 - p) moves."""
    problem = PROBLEMS["dropout"]
    train = problem.data(1)[0]
    space = problem.space(1)
    network = trained(problem, space, train, torch.as_tensor(space.init()).float(), 1, 20)
    rate = torch.tensor(0.5, requires_grad=True)
    torch.manual_seed(5)
    after = stepped(network, {"dropped": rate}, [train])
    (slope,) = torch.autograd.grad(after["3.weight"].square().sum(), rate)
    torch.manual_seed(5)
    kept = keep_mask((len(train[1]), HIDDEN), 0.5, train[0]) > 0
    found = []
    for p in (0.499, 0.501):
        weights = {n: q.detach().clone().requires_grad_() for n, q in network.model.named_parameters() if n in after}
        hidden = (train[0] @ weights["0.weight"].T + weights["0.bias"]).tanh() * kept / (1 - p)
        loss = nn.functional.cross_entropy(hidden @ weights["3.weight"].T + weights["3.bias"], train[1])
        loss = loss + SETTLING * (weights["0.weight"].square().sum() + weights["3.weight"].square().sum())
        adam = torch.optim.Adam(weights.values(), SHARE * network.rate())
        for name, weight in weights.items():
            old = network.optimizer.state[dict(network.model.named_parameters())[name]]
            adam.state[weight] = {k: v.clone() for k, v in old.items()}
        loss.backward()
        adam.step()
        found.append(float(weights["3.weight"].detach().double().square().sum()))
    assert float(slope) == pytest.approx((found[1] - found[0]) / 0.002, rel=2e-2)


def test_what_no_gradient_reaches_has_no_claim():
    for name in ("cutout", "dropout"):
        problem = PROBLEMS[name]
        data, space = problem.data(1), problem.space(1)
        network = trained(problem, space, data[0], torch.as_tensor(space.init()).float(), 1, 2)
        assert implicit(network, data) is None
        assert (unrolled(network, data, 1, 1, draws=1) is None) == (name == "cutout")


def test_a_rate_is_unrolled_through_the_step_itself():
    problem = PROBLEMS["rate"]
    data, space = problem.data(1), problem.space(0)
    lam = torch.as_tensor(space.init()).float()
    network = trained(problem, space, data[0], lam, 1, 10)
    assert network.rate() == pytest.approx(5e-4) and network.optimizer.param_groups[0]["initial_lr"] == network.rate()
    rate = torch.tensor(5e-4, requires_grad=True)
    after = stepped(network, {"rate": rate}, [data[0]])
    with at(network.model, lam, lam):
        before = network.model[0].weight.detach()
    (slope,) = torch.autograd.grad(after["0.weight"].sum(), rate)
    assert float(slope) == pytest.approx(float((after["0.weight"].detach() - before).sum()) / 5e-4, rel=1e-3)


def test_neighbours_are_the_next_whole_numbers_and_directions_are_told():
    space = PROBLEMS["cutout"].space(2)
    low, high, apart = beside(space, torch.as_tensor(space.init()).float(), np.ones(1), 0.25)
    side = space["side"]
    assert (float(side.value(low.numpy())[0]), float(side.value(high.numpy())[0])) == (6, 8)
    assert apart == pytest.approx(float(side.raw(8.0) - side.raw(6.0)))
    both = PROBLEMS["layers"]
    lam = torch.zeros(2)
    assert both.directions(1).tolist() == [[1, 0], [0, 1]]
    low, high, apart = beside(both.space(0), lam, both.directions(1)[1], 0.25)
    assert (low.tolist(), high.tolist(), apart) == ([0, -0.25], [0, 0.25], 0.5)
    assert PROBLEMS["weights"].directions(1).shape == (2, 160)
    assert set(np.unique(PROBLEMS["weights"].directions(1))) == {-1, 1}
