"""The IDX reader: what is written comes back, and any other bytes are a UserError or a true array."""

from __future__ import annotations

import gzip
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hyperopt_hn.data.idx import gunzip, read_idx
from hyperopt_hn.errors import UserError

ARRAYS = arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, max_side=6))


def idx_bytes(array: np.ndarray) -> bytes:
    return header(array.shape) + array.tobytes()


def header(shape: tuple[int, ...]) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)


@given(ARRAYS)
def test_round_trip(array: np.ndarray) -> None:
    back = read_idx(idx_bytes(array))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == np.uint8 and not back.flags.writeable


@given(ARRAYS, st.data())
def test_every_cut_and_every_tail_is_refused(array: np.ndarray, draw: st.DataObject) -> None:
    whole = idx_bytes(array)
    cut = draw.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:cut], whole + draw.draw(st.binary(min_size=1, max_size=9))):
        with pytest.raises(UserError, match=r"truncated|too long"):
            read_idx(wrong)


def honest(content: bytes) -> None:
    """The reader refuses the bytes, or it returns exactly what they say."""
    try:
        array = read_idx(content)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert idx_bytes(array) == content and array.size == math.prod(array.shape) > 0


@given(st.binary(max_size=64))
def test_any_bytes(content: bytes) -> None:
    honest(content)


@given(st.lists(st.sampled_from([0, 1, 2, 3, 255, 2**16, 2**31, 2**32 - 1]), max_size=5), st.binary(max_size=40))
def test_any_header(shape: list[int], body: bytes) -> None:
    """Also shapes with zeros and with more than 2^64 elements, which numpy itself would choke on."""
    honest(header(tuple(shape)) + body)


@given(ARRAYS, st.data())
def test_one_changed_byte(array: np.ndarray, draw: st.DataObject) -> None:
    content = bytearray(idx_bytes(array))
    content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    honest(bytes(content))


def test_the_header_is_not_taken_at_its_word() -> None:
    tracemalloc.start()
    with pytest.raises(UserError, match="is truncated"):
        read_idx(header((60000, 28, 28)) + bytes(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**5


@given(st.binary(max_size=200))
def test_gunzip_round_trip_and_limit(content: bytes) -> None:
    packed = gzip.compress(content)
    assert gunzip(packed, len(content)) == content
    if content:
        with pytest.raises(UserError, match="too long"):
            gunzip(packed, len(content) - 1)


@given(st.binary(max_size=100), st.data())
def test_gunzip_of_anything(content: bytes, draw: st.DataObject) -> None:
    """A gzip stream with one byte changed, cut or added, and plain noise: the same content or a UserError."""
    packed = bytearray(gzip.compress(content))
    packed[draw.draw(st.integers(0, len(packed) - 1))] = draw.draw(st.integers(0, 255))
    cut = gzip.compress(content)[: draw.draw(st.integers(0, len(packed) - 1))]
    for wrong, may_pass in ((bytes(packed), True), (cut, False), (content, False)):
        try:
            unpacked = gunzip(wrong, 1000)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert may_pass and unpacked == content


def test_a_gzip_bomb_stays_small() -> None:
    bomb = gzip.compress(bytes(5 * 10**7))
    tracemalloc.start()
    with pytest.raises(UserError, match="more than 1000 bytes"):
        gunzip(bomb, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6
