"""Properties of batches and of the trace of λ̂, whatever their sizes."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.tuning.history import Trace  # noqa: E402

FEW = settings(max_examples=60, deadline=None)


@FEW
@given(st.data(), st.integers(1, 40), st.integers(0, 5), st.booleans())
def test_batches_resume_anywhere_and_give_each_row_at_most_once_an_epoch(data, rows, seed, shuffle):
    size = data.draw(st.integers(1, rows))
    done, more = data.draw(st.integers(0, 25)), rows // size
    tensor = torch.arange(rows)
    one, other = (Batches.of(tensor, size, seed, shuffle) for _ in range(2))
    for _ in range(done):
        one.next()
    other.load_state(one.state())
    for _ in range(2 * more):
        assert torch.equal(one.next(), other.next())
    fresh = Batches.of(tensor, size, seed, shuffle)
    epoch = torch.cat([fresh.next() for _ in range(more)])
    assert len(epoch) == more * size == len(set(epoch.tolist()))
    assert torch.equal(torch.cat(list(fresh.once())), tensor)


@FEW
@given(st.integers(2, 9), st.integers(0, 120), st.integers(0, 120))
def test_the_trace_stays_short_even_and_resumable(rows, first, more):
    trace, other = Trace(rows), Trace(rows)
    for i in range(first):
        trace.add(i, torch.tensor([float(i)]))
    other.load_state(trace.state(), torch.device("cpu"))
    for i in range(first, first + more):
        for one in (trace, other):
            one.add(i, torch.tensor([float(i)]))
    steps, lams = trace.table()
    assert other.table()[0] == steps
    assert len(steps) < 2 * rows
    assert len(steps) >= min(first + more, rows)
    assert lams.flatten().tolist() == [float(s) for s in steps]
    gaps = {b - a for a, b in itertools.pairwise(steps)}
    assert len(gaps) <= 1
    assert steps[:1] == ([0] if first + more else [])
