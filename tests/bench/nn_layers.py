"""Converted networks against plain ones and the obvious two passes: train, tune, evaluate; Δ-STN against STN."""

from __future__ import annotations

from importlib.util import find_spec

from tests.bench.harness import Row


def rows() -> list[Row]:
    """Every comparison; none without torch, which `make bench` does not install."""
    if find_spec("torch") is None:
        return []
    from tests.bench import _nn_layers

    return _nn_layers.rows()
