"""A whole self-tuning run over a plain one: `SelfTuner.fit` at its defaults, with all that it does beside."""

from __future__ import annotations

from importlib.util import find_spec

from tests.bench.harness import Row


def rows() -> list[Row]:
    """Every comparison; none without torch, which `make bench` does not install."""
    if find_spec("torch") is None:
        return []
    from tests.bench import _nn_whole_runs

    return _nn_whole_runs.rows()
