"""Raw <-> natural maps: inverses, monotone, finite where the published ones overflow, differentiable in autograd."""

import math

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.test_util import check_grads
from hypothesis import given
from hypothesis import strategies as st

from hyperopt_hn.transforms import bounded, inv_softplus, logit, sigmoid, softplus, unbounded

BOUNDS = [(-math.inf, math.inf), (0.0, math.inf), (-math.inf, 2.5), (0.0, 0.9), (-3.0, 7.0)]
RAW = st.floats(-30, 30)


@given(RAW, st.sampled_from(BOUNDS))
def test_raw_value_raw(u, bounds):
    value = bounded(np.float64(u), *bounds, np)
    assert bounds[0] <= value <= bounds[1]
    if bounds[0] < value < bounds[1]:
        again = bounded(unbounded(value, *bounds, np), *bounds, np)
        assert again == pytest.approx(value, rel=1e-9, abs=1e-12)


@given(RAW, RAW, st.sampled_from(BOUNDS))
def test_values_rise_with_raw(a, b, bounds):
    low, high = sorted((a, b))
    assert bounded(np.float64(low), *bounds, np) <= bounded(np.float64(high), *bounds, np)


@pytest.mark.parametrize("y", [1e-9, 1e-3, 1.0, 100.0, 1e6])
def test_inv_softplus_where_the_published_one_is_infinite(y):
    assert softplus(inv_softplus(np.float32(y), np), np) == pytest.approx(y, rel=1e-5)
    assert softplus(inv_softplus(np.float64(y), np), np) == pytest.approx(y, rel=1e-9)


@pytest.mark.parametrize("p", [1e-12, 0.05, 0.5, 1 - 1e-9])
def test_sigmoid_inverts_logit(p):
    assert sigmoid(logit(np.float64(p), np), np) == pytest.approx(p, rel=1e-9)


def test_no_overflow_far_out():
    far = np.array([-1e4, 1e4])
    with np.errstate(all="raise", under="ignore"):
        assert np.array_equal(sigmoid(far, np), [0.0, 1.0])
        assert np.array_equal(softplus(far, np), [0.0, 1e4])


@pytest.mark.parametrize("bounds", BOUNDS)
def test_gradients(bounds):
    check_grads(lambda u: anp.sum(bounded(u, *bounds, anp)), modes=["rev"])(np.linspace(-3.0, 3.0, 7))
