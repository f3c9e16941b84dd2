"""Adam and SGD: the published formula's rounding, restarts, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from toy.optim import BLOCK, SGD, Adam, aligned_zeros


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
