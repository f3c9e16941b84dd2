"""States and arrays come back bit for bit, without pickled objects; equal contents are equal bytes."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hyperopt_hn import UserError
from hyperopt_hn.files.states import load_arrays, load_state, save_arrays, save_state

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


ARRAYS = st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]).flatmap(
    lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


@settings(deadline=None)
@given(st.dictionaries(st.text(), PLAIN | ARRAYS | st.lists(ARRAYS, max_size=2), max_size=4))
def test_states_come_back_bit_for_bit(tmp_path_factory, state):
    file = tmp_path_factory.mktemp("state") / "s.npz"
    with open(file, "wb") as out:
        save_state(out, state)
    assert same(load_state(file), state)


def test_random_generators_are_plain_states(tmp_path):
    rng = np.random.default_rng(3)
    with open(tmp_path / "s.npz", "wb") as out:
        save_state(out, {"rng": rng.bit_generator.state})
    expected = rng.random(5)
    again = np.random.default_rng(0)
    again.bit_generator.state = load_state(tmp_path / "s.npz")["rng"]
    assert (again.random(5) == expected).all()


def test_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="not set"):
        save_state(io.BytesIO(), {"x": {1, 2}})
    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(io.BytesIO(), {"x": np.array([object()])})
    np.savez(tmp_path / "evil.npz", x=np.array([object()], dtype=object))
    with pytest.raises(UserError, match="damaged"):
        load_arrays(tmp_path / "evil.npz")


def test_archives_depend_on_their_contents_alone(monkeypatch):
    first, second = io.BytesIO(), io.BytesIO()
    save_arrays(first, {"x": np.arange(5)})
    monkeypatch.setattr("time.time", lambda: 2e9)
    save_arrays(second, {"x": np.arange(5)})
    assert first.getvalue() == second.getvalue()
