"""CIFAR's pickles, read without running anything that they name: plain data and arrays of unsigned bytes.

Python's unpickler calls what a pickle tells it to, and numpy's arrays, once handed a forged state, read memory that is
not theirs. So the names that a pickled array uses stand for records here, which only note what they are given;
everything else is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEMO = 1 << 20
"""Largest number under which a pickle may keep an object: the unpickler allocates for it on the pickle's word."""


def load_plain(data: bytes) -> Any:
    """The object in a pickle (Python 2's strings as bytes); arrays come as records for `byte_array`.

    Raises an error of whatever kind for a damaged pickle and for one that names anything but arrays.
    """
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and isinstance(argument, int) and argument > MEMO:
            raise pickle.UnpicklingError("it keeps too many objects")
    return _Plain(io.BytesIO(data), encoding="bytes").load()


def byte_array(record: Any) -> NDArray[np.uint8]:
    """The array of unsigned bytes that a record stands for. Raises ValueError for anything else."""
    if not isinstance(record, _Array):
        raise ValueError("there is no array")
    _, shape, kind, by_columns, content = record.state
    if not isinstance(kind, _Kind) or kind.name not in ("u1", b"u1") or type(content) is not bytes:
        raise ValueError("the array does not hold unsigned bytes")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_columns else "C")


class _Array:
    """What an array is given: version, shape, kind, order of the axes, content."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _Kind:
    """What an array's type is given; its byte order does not matter to single bytes."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Noted nowhere."""


class _Plain(pickle.Unpickler):
    """pickle's own door for restricting what is built: find_class has to be overridden, there is no other way."""

    def find_class(self, module: str, name: str) -> Any:
        """The records for numpy's three names; nothing is imported."""
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _Array
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _Array if name == "ndarray" else _Kind
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")
