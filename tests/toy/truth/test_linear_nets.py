"""Gradients by hand of linear networks, class by class, against autograd."""

from __future__ import annotations

import numpy as np
import pytest
from autograd import grad

from tests.reference.toy_loops import Data
from tests.support.toy_cases import SIZES, problem_of, random_parts
from toy.network import mlp
from toy.optim import aligned_zeros
from toy.truth.linear_nets import ClassPenalty, NormPenalty, Windows


@pytest.fixture(scope="module")
def parts() -> tuple[Data, Data, Data]:
    return random_parts()


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
