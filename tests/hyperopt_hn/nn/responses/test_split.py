"""Split: the weights are trained as if there were no response, the response reaches its exact Jacobian by itself."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import Hypers, Optimizers, TorchProblem, TorchTuner, TunerConfig, convert  # noqa: E402
from hyperopt_hn.nn.conversion.converter import general_parameters, response_parameters  # noqa: E402
from hyperopt_hn.nn.responses import Split  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.tuning.phases import _shared, bound_  # noqa: E402

# the penalty below is one on the general weights alone, so that plain training can be compared to the bit
pytestmark = pytest.mark.filterwarnings("ignore:train_loss reads")
SPACE = HyperSpace([Hyper("decay", 0.01, 1e-4, 1.0, log=True, shared=True, spread=1.0)])


def rows(seed, count=60):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return x, (x.sum(1, keepdim=True) + torch.randn(count, 1, generator=generator, dtype=torch.float64))


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).double()


def error(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def penalised(model, batch, h):
    return error(model, batch) + h["decay"] * sum(
        p.square().sum() for n, p in model.named_parameters() if "response" not in n
    )


def build(split=None, clip=0.0, model=None, response=None):
    model = convert(model or net(), SPACE)
    hypers = Hypers(SPACE, dtype=torch.float64)
    problem = TorchProblem(penalised, error, Batches.of(rows(1), 20, 3), Batches.of(rows(2), 20, 4))
    phi = torch.optim.SGD(general_parameters(model), 0.05, momentum=0.9)
    own = response(model) if response else None
    optimizers = Optimizers(phi, torch.optim.Adam([hypers.lam], 0.05), response=own)
    return TorchTuner(model, hypers, problem, optimizers, split or Split(), TunerConfig(seed=5, clip=clip))


def test_the_weights_and_their_statistics_are_those_of_plain_training():
    tuner, plain = build(Split(every=2, eager=0), clip=0.3), net()
    optimizer = torch.optim.SGD(plain.parameters(), 0.05, momentum=0.9)
    source = Batches.of(rows(1), 20, 3)
    for _ in range(12):
        tuner.train_step()
        optimizer.zero_grad()
        penalised(plain, source.next(), {"decay": tuner.hypers()["decay"]}).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.3)
        optimizer.step()
    twin = tuner.collapsed()
    assert twin.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], value, rtol=1e-12, atol=1e-12, msg=f"{name}: {{}}".format)


def test_the_response_steps_every_kth_time_alone():
    tuner = build(Split(every=3, eager=0))
    moved = []
    for _ in range(6):
        before = [p.detach().clone() for p in response_parameters(tuner.losses.bare)]
        tuner.train_step()
        after = list(response_parameters(tuner.losses.bare))
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)))
    assert moved == [False, False, True, False, False, True]


def test_groups_draw_the_shared_hyperparameters_apart():
    seen = []
    tuner = build(Split(every=1, groups=4))
    real = tuner.losses.problem.train_loss

    def watched(model, batch, h):
        seen.append((len(batch[0]), float(h["decay"])))
        return real(model, batch, h)

    object.__setattr__(tuner.losses.problem, "train_loss", watched)
    tuner.train_step()
    general, parts = seen[0], seen[1:]
    assert general[0] == 20 and [size for size, _ in parts] == [5, 5, 5, 5]
    assert len({value for _, value in parts}) == 4


def test_the_responses_own_optimizer_is_outside_the_clip():
    """With a clip so small that clipped SGD steps are below 1e-9, the response still takes SGD's whole step."""
    whole, clipped = (
        build(Split(every=1), clip=clip, response=lambda m: torch.optim.SGD(response_parameters(m), 0.1))
        for clip in (0.0, 1e-9)
    )
    for tuner in (whole, clipped):
        tuner.train_step()
    ours, theirs = (list(response_parameters(t.losses.bare)) for t in (clipped, whole))
    assert max(float(p.detach().abs().max()) for p in ours) > 1e-3
    for a, b in zip(ours, theirs, strict=True):  # at zero gain the response does not see the weights' first step
        torch.testing.assert_close(a, b, atol=1e-2, rtol=0.5)


def test_a_foreign_parameter_in_the_responses_optimizer_is_refused():
    with pytest.raises(UserError, match=r"response_parameters\(model\)"):
        build(response=lambda m: torch.optim.Adam(m.parameters(), 1e-3))


def test_state_goes_on_to_the_bit():
    tuner = build(Split(every=2, eager=0))
    for _ in range(5):
        tuner.train_step()
    tuner.tune_step()
    state = copy.deepcopy(tuner.state())
    wanted = [tuner.train_step(), tuner.tune_step(), tuner.train_step(), tuner.hypers()]
    other = build(Split(every=2, eager=0))
    other.load_state(state)
    assert [other.train_step(), other.tune_step(), other.train_step(), other.hypers()] == wanted


def test_the_box_holds_lambda():
    space = HyperSpace([Hyper("decay", 0.01, 1e-4, 1.0, log=True, box=1.0), Hyper("free", 0.5, 0.0)])
    hypers = Hypers(space, dtype=torch.float64, box=3.5)
    with torch.no_grad():
        hypers.lam.fill_(50.0)
    hypers.keep_inside()
    assert hypers.lam.tolist() == [1.0, 50.0] and hypers.at_the_edge() == ["decay"]


def test_one_overflowing_draw_does_not_spoil_the_response():
    inf, nan = float("inf"), float("nan")
    for given, wanted in (([3.0, 4.0], [0.6, 0.8]), ([0.3, 0.4], [0.3, 0.4]), ([inf, 1.0], [0, 0]), ([nan, 1], [0, 0])):
        gradients = [torch.tensor(given), None, torch.tensor([0.0])]
        bound_(gradients)
        torch.testing.assert_close(gradients[0], torch.tensor(wanted, dtype=torch.float32), rtol=1e-6, atol=0)
        assert gradients[2].tolist() == [0.0]

    tuner = build(Split(every=1))
    before = [p.detach().clone() for p in response_parameters(tuner.losses.bare)]
    next(response_parameters(tuner.losses.bare)).register_hook(lambda gradient: gradient * inf)
    tuner.train_step()
    for old, new in zip(before, response_parameters(tuner.losses.bare), strict=True):
        assert torch.equal(old, new)


def test_positions_are_four_times_the_share_of_the_way_between_two_bounds():
    inf = float("inf")
    space = HyperSpace([
        Hyper("rate", 0.2, 0.0, 0.8), Hyper("decay", 1e-3, 1e-5, 1.0, log=True), Hyper("weight", 2.0, 1.0, inf),
        Hyper("debt", -2.0, -inf, -1.0), Hyper("free", 3.0), Hyper("tiny", 1e-3, 0.0, inf, log=True),
        Hyper("pair", 0.5, 0.0, 1.0, size=2),
    ])  # fmt: skip
    hypers = Hypers(space, dtype=torch.float64)
    lam = torch.tensor([-1.0, 0.5, 0.7, -0.3, 1.7, -4.0, 2.0, -2.0], dtype=torch.float64)
    values = space.values(lam.numpy())
    wanted = [
        4 * values["rate"] / 0.8, 4 * np.log(values["decay"] / 1e-5) / np.log(1e5), values["weight"] - 1.0,
        values["debt"] + 1.0, 1.7, -4.0, *(4 * values["pair"]),
    ]  # fmt: skip
    np.testing.assert_allclose(hypers.position(lam).numpy(), wanted, rtol=1e-12)
    rows = torch.stack([lam, -lam, 0 * lam])
    assert torch.equal(hypers.position(rows)[0], hypers.position(lam))
    middle = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(hypers.position(middle).sum(), middle)
    np.testing.assert_allclose(slope.numpy(), [1, 1, 0.5, 0.5, 1, 1, 1, 1])


@pytest.mark.parametrize("linear", [False, True])
def test_the_slope_is_that_of_the_collapsed_networks_losses(linear):
    """dL_V/dλ by differences of ordinary networks with the weights that the response gives at λ̂ ± a step."""
    tuner = build(Split(every=1, linear=linear))
    for _ in range(30):
        tuner.train_step()
    batch, (lam,) = rows(3), tuner._hypers.lam.detach().tolist()
    _, slope = tuner.response.tune(tuner.losses, tuner._hypers.lam, False, [batch])
    at = [
        error(tuner.collapsed({"decay": SPACE["decay"].value(lam + step)}).eval(), batch).item()
        for step in (1e-4, -1e-4)
    ]
    assert float(slope) == pytest.approx((at[0] - at[1]) / 2e-4, rel=1e-5)
    assert abs(float(slope)) > 1e-4


def test_a_share_of_the_batch_is_its_first_rows_and_whole_where_it_cannot_be_cut():
    seen = []

    def noted(model, batch, h):
        seen.append(len(batch[0]))
        return penalised(model, batch, h)

    tuner = build(Split(every=1, share=0.25))
    tuner.losses = replace(tuner.losses, problem=replace(tuner.problem, train_loss=noted))
    tuner.train_step()
    tuner.train_step()
    assert seen[-2:] == [20, 5]
    parts, sizes = _shared([{"x": torch.arange(8), "y": torch.arange(16).reshape(8, 2)}], [8], 0.5)
    assert sizes == [4] and parts[0]["x"].tolist() == [0, 1, 2, 3] and parts[0]["y"].shape == (4, 2)
    for batch in ((torch.zeros(8), torch.zeros(3)), object(), (torch.zeros(8), torch.tensor(1.0))):
        parts, sizes = _shared([batch], [8], 0.5)
        assert sizes == [8] and parts[0] is batch
