"""The truth of toy (crossval, weights-vs-loss) and Adam, against autograd and slow loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from autograd import grad

from hyperopt_hn import UserError
from tests.reference import toy_truth_loops as slow
from tests.reference.toy_loops import Data
from tests.support.toy_cases import SHARED, SIZES, problem_of, random_parts, run, same, stored
from toy import mlp
from toy.optim import BLOCK, SGD, Adam, aligned_zeros
from toy.truth.crossval import Crossval, CrossvalConfig, lowest
from toy.truth.linear_nets import ClassPenalty, NormPenalty, Windows
from toy.truth.true_losses import SharedSettings, TrueLosses, TrueLossesConfig

NETS = TrueLossesConfig(nets=9, steps=40, unit=4)


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data, Data]:
    return random_parts()


# ---- Adam ----


def test_adam_rounds_as_the_published_formula() -> None:
    rng = np.random.RandomState(1)
    params = [rng.randn(3, 5), rng.randn(2 * BLOCK + 3)]
    x = np.concatenate([p.ravel() for p in params])
    m, v = np.zeros_like(x), np.zeros_like(x)
    adam = Adam()
    state = adam.start(params)
    for t in range(400):
        grads = [rng.randn(*p.shape) for p in params]
        adam.step(params, grads, state)
        g = np.concatenate([g.ravel() for g in grads])
        m = (1 - 0.9) * g + 0.9 * m
        v = (1 - 0.999) * (g**2) + 0.999 * v
        x -= 1e-4 * (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
    assert np.array_equal(np.concatenate([p.ravel() for p in params]), x)


def test_adam_restarted_at_every_step_equals_uninterrupted() -> None:
    rng, adam = np.random.RandomState(2), Adam(lr=0.01)
    once, again = [np.ones(7)], [np.ones(7)]
    state, saved = adam.start(once), adam.start(again)
    for _ in range(50):
        g = rng.randn(7)
        adam.step(once, [g], state)
        saved = {"t": saved["t"], "m": [saved["m"][0].copy()], "v": [saved["v"][0].copy()]}
        Adam(lr=0.01).step(again, [g], saved)
    assert np.array_equal(once[0], again[0])


@pytest.mark.parametrize(("stuck", "distance"), [(True, 13.24), (False, 30.00)])
def test_stuck_counter_is_the_published_defect(stuck: bool, distance: float) -> None:
    adam, x = Adam(lr=0.01, stuck_counter=stuck), [np.zeros(1)]
    state = adam.start(x)
    moved = []
    for _ in range(3000):
        before = x[0][0]
        adam.step(x, [np.ones(1)], state)
        moved.append(before - x[0][0])
    assert -x[0][0] == pytest.approx(distance, abs=0.005)
    if stuck:
        assert moved[0] == pytest.approx(0.01) and moved[1] == pytest.approx(0.0134, abs=5e-5)
        assert moved[9] == pytest.approx(0.0206, abs=5e-5) and moved[-1] == pytest.approx(0.0032, abs=5e-5)


def test_optimizers_refuse_copies_and_sgd_descends() -> None:
    with pytest.raises(ValueError, match="C-contiguous"):
        Adam().start([np.ones((4, 4)).T[:2]])
    x = [np.ones(3)]
    state = SGD(0.5).start(x)
    SGD(0.5).step(x, [np.ones(3)], state)
    assert np.array_equal(x[0], np.full(3, 0.5)) and state["t"] == 1
    assert aligned_zeros((3, 5)).ctypes.data % 64 == 0


# ---- gradients by hand ----


def test_layout_round_trip_and_gradients_equal_autograd(parts: tuple[Data, Data, Data]) -> None:
    rng = np.random.RandomState(3)
    w, lam, starts = rng.randn(4, mlp.count(SIZES)), rng.randn(4, 3), [0, 7, 40, 31]
    by_class, by_norm = problem_of("class_norms", parts), problem_of("norm", parts)
    data, everything = Windows.of(by_class.train, 10), Windows.of(by_norm.train, 50)
    nets = data.nets(w)
    grads = np.full_like(nets, np.nan)
    assert np.array_equal(data.flat(nets), w)
    data.gradients(nets, starts, grads)
    ClassPenalty(lam, nets.shape[2]).add(nets, grads)
    for k, start in enumerate(starts):
        rows = slice(start, start + 10)
        wanted = grad(lambda x, k=k, rows=rows: by_class.train_loss(x, lam[k : k + 1], rows)[0])(w[k : k + 1])
        assert data.flat(grads)[k] == pytest.approx(wanted[0], rel=1e-11, abs=1e-12)
    everything.shared_gradients(nets, grads)
    NormPenalty(lam[:, 0]).add(nets, grads)
    wanted = grad(lambda x: np.sum(by_norm.train_loss(x, lam[:, :1])))(w)
    assert everything.flat(grads) == pytest.approx(wanted, rel=1e-11, abs=1e-12)
    assert not grads[:, :, SIZES[0] + 1 :].any(), "the padding stays zero"


def test_windows_end_at_their_last_ink(parts: tuple[Data, Data, Data]) -> None:
    data = Windows.of(problem_of("class_norms", parts).train, 10)
    for start in range(41):
        assert not data.rows[start : start + 10, data.widths[start] :].any()
    assert len(set(data.widths)) == 2, "the test's rows have windows with and without their rare inputs"
    assert data.rows[:, 0].all() and data.order[0] == SIZES[0], "the bias comes first"


def test_penalties_have_gradient_zero_at_zero() -> None:
    nets, grads = aligned_zeros((1, 3, 16)), aligned_zeros((1, 3, 16))
    ClassPenalty(np.zeros((1, 3)), 16).add(nets, grads)
    NormPenalty(np.zeros(1)).add(nets, grads)
    assert not grads.any()


# ---- crossval ----


def test_crossval_equals_the_slow_loop(parts: tuple[Data, Data, Data]) -> None:
    config = CrossvalConfig(points=5, fine_points=7, steps=60, steps_per_unit=7)
    arrays = run(Crossval(problem_of("norm", parts), config)).arrays()
    for lam, train, valid in zip(arrays["cross_lambda"], arrays["cross_train"], arrays["cross_valid"], strict=True):
        assert (train, valid) == pytest.approx(slow.crossval_losses(parts[0], parts[1], lam, 60), rel=1e-8)
    assert np.array_equal(arrays["fine_lambda"], np.linspace(-2, 4, 7))


def test_crossval_resumes_bit_for_bit(parts: tuple[Data, Data, Data], tmp_path: Path) -> None:
    config = CrossvalConfig(points=3, fine_points=6, steps=25)
    whole = run(Crossval(problem_of("norm", parts), config))
    half, rest = run(Crossval(problem_of("norm", parts), config), 2), Crossval(problem_of("norm", parts), config)
    rest.load_state(stored(half.state(), tmp_path))
    assert same(run(rest, 1).arrays(), whole.arrays())
    assert whole.evaluate()["valid_loss"] == whole.arrays()["fine_valid"].min() and whole.tune_step() == {}


def test_optimum_is_a_parabola_s_and_never_leaves_the_grid() -> None:
    x = np.linspace(-2.0, 4.0, 25)
    found = lowest({"lambda": x, "valid": (x - 1.83) ** 2 + 0.5, "train": 3.0 * x**2})
    assert [float(found[key]) for key in ("lambda", "valid", "train")] == pytest.approx([1.83, 0.5, 3.0 * 1.83**2])
    assert float(lowest({"lambda": x, "valid": x})["lambda"]) == -2.0
    assert float(lowest({"lambda": x, "valid": np.ones(25)})["lambda"]) == -2.0


def test_crossval_wants_one_hyperparameter(parts: tuple[Data, Data, Data]) -> None:
    with pytest.raises(ValueError, match="norm"):
        Crossval(problem_of("class_norms", parts), CrossvalConfig())


# ---- true losses ----


def test_a_vector_of_draws_is_the_published_stream() -> None:
    one, many = np.random.RandomState(7), np.random.RandomState(7)
    for _ in range(3):
        scalars = one.rand(10) * 6.0 - 3.0, [one.randint(49_900) for _ in range(1000)]
        lam = SharedSettings().uniform(many, 10)
        assert np.array_equal(lam, scalars[0])
        assert np.array_equal(many.randint(49_900, size=1000), scalars[1])


def test_true_losses_equal_the_slow_loop(parts: tuple[Data, Data, Data]) -> None:
    fast = run(TrueLosses(problem_of("class_norms", parts), SHARED, NETS)).arrays()
    loops = slow.Scatter(parts[0], parts[1], window=10, steps=40)
    for lam, loss in zip(fast["lam"], fast["true"], strict=True):
        slow_lam, slow_loss = loops.true_loss()
        assert np.array_equal(lam, slow_lam)
        assert loss == pytest.approx(slow_loss, rel=1e-8)


def test_true_losses_do_not_depend_on_blocks_or_workers(parts: tuple[Data, Data, Data]) -> None:
    problem = problem_of("class_norms", parts)
    wanted = run(TrueLosses(problem, SHARED, NETS)).arrays()
    for unit, workers in ((9, 1), (1, 1), (5, 3)):
        config = replace(NETS, unit=unit, workers=workers)
        assert same(run(TrueLosses(problem, SHARED, config)).arrays(), wanted)


def test_true_losses_resume_and_recompute_a_block(parts: tuple[Data, Data, Data], tmp_path: Path) -> None:
    problem = problem_of("class_norms", parts)
    whole, half = (TrueLosses(problem, SHARED, NETS) for _ in range(2))
    saved = stored(run(half, 1).state(), tmp_path)
    rest = TrueLosses(problem, SHARED, NETS)
    rest.load_state(saved)
    assert same(run(rest, 2).arrays(), run(whole).arrays())
    again = TrueLosses(problem, SHARED, NETS)
    again.load_state(saved)
    assert np.array_equal(again.losses(*again.start.draw(again.rng, 4, 40)), whole.arrays()["true"][4:8])
    assert whole.evaluate()["valid_loss"] == whole.loss.min() and np.shape(whole.hypers()["weight_decay"]) == (3,)
    assert np.isfinite(TrueLosses(problem, SHARED, NETS).evaluate()["valid_loss"]), "before the first network too"
    with pytest.raises(ValueError, match="9 networks"):
        TrueLosses(problem, SHARED, replace(NETS, nets=3)).load_state(saved)


def test_the_last_window_is_drawn_by_default() -> None:
    assert SharedSettings(window=100).starts(50_000) == 49_901
    assert SharedSettings(window=100, streams="published").starts(50_000) == 49_900
    assert SharedSettings(window=100).starts(100) == 1
    for shared, rows in ((SharedSettings(window=100), 99), (SharedSettings(window=100, streams="published"), 100)):
        with pytest.raises(UserError, match="--window 100"):
            shared.starts(rows)
    with pytest.raises(UserError, match="streams"):
        SharedSettings(streams="publshed")
