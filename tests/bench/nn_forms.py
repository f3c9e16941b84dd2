"""The forms of a response against plain training: a train, a respond and a tune step over a plain one's time."""

from __future__ import annotations

from importlib.util import find_spec

from tests.bench.harness import Row


def rows() -> list[Row]:
    """Every comparison; none without torch, which `make bench` does not install."""
    if find_spec("torch") is None:
        return []
    from tests.bench import _nn_forms

    return _nn_forms.rows()
