"""Streams: every word but the first scored once, in order, the state carried right, and a position that comes back."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from deep.lstm.streams import Streams, rows_of  # noqa: E402
from hyperopt_hn.nn import distributed  # noqa: E402
from tests.support.refusals import refused  # noqa: E402


def state(value):
    return ((torch.full((1, 2, 3), value), torch.full((1, 2, 3), -value)),)


def same(a, b):
    return torch.equal(a.tokens, b.tokens) and torch.equal(a.targets, b.targets)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(2, 40), st.integers(0, 4))
def test_a_pass_scores_every_word_of_a_stream_but_the_first(batch, bptt, length, left_over):
    ids = torch.arange(batch * length + min(left_over, batch - 1))
    if bptt >= length:
        assert "choose a smaller --bptt" in refused(Streams, ids, batch, bptt, "training")
        return
    source = Streams(ids, batch, bptt, "training")
    windows = list(source.once())
    assert len(windows) == source.windows
    assert all(1 <= len(w.tokens) <= bptt for w in windows)  # never empty, facts 2.9 L11
    assert all(len(w.tokens) == bptt for w in windows[:-1])
    tokens = torch.cat([w.tokens for w in windows])
    assert torch.equal(tokens.t().flatten(), ids[: batch * length].view(batch, length)[:, :-1].flatten())
    assert torch.equal(torch.cat([w.targets for w in windows]), tokens + 1)
    assert sum(map(rows_of, windows)) == batch * (length - 1)
    assert all(rows_of(source.next()) == batch for _ in windows)


def test_a_stream_that_a_window_divides_gives_no_empty_batch():
    """Facts 2.9 L11: (rows - 1) a multiple of bptt gave an empty window, and NaN."""
    source = Streams(torch.arange(2 * 15), 2, 7, "training")
    assert source.windows == 2
    assert [len(source.next().tokens) for _ in range(4)] == [7, 7, 7, 7]


def test_the_state_goes_from_window_to_window_and_starts_anew_with_the_text():
    source = Streams(torch.arange(20), 2, 4, "training")
    assert source.windows == 3
    seen = []
    for k in range(7):
        window = source.next()
        before = window.begin()
        seen.append(None if before is None else float(before[0][0][0, 0, 0]))
        window.end(state(float(k)))
    assert seen == [None, 0.0, 1.0, None, 3.0, 4.0, None]


def test_both_parts_of_a_step_start_from_one_state_and_the_first_carries_on():
    source = Streams(torch.arange(20), 2, 4, "training")
    source.next().end(state(1.0))
    window = source.next()
    first = window.begin()
    window.end(state(2.0))
    assert window.begin() is first
    window.end(state(3.0))
    after = source.next().begin()
    assert float(after[0][0][0, 0, 0]) == 2.0


def test_the_carried_state_is_cut_off_from_the_graph_and_single_precision():
    source = Streams(torch.arange(20), 2, 4, "training")
    h = torch.ones(1, 2, 3, dtype=torch.bfloat16, requires_grad=True)
    source.next().end(((h * 2, h * 3),))
    ((hidden, cell),) = source.next().begin()
    assert not hidden.requires_grad and not cell.requires_grad and hidden.dtype == torch.float32


def test_evaluation_has_a_state_of_its_own():
    source = Streams(torch.arange(20), 2, 4, "validation")
    source.next().end(state(1.0))
    for k, window in enumerate(source.once()):
        before = window.begin()
        assert (before is None) if k == 0 else float(before[0][0][0, 0, 0]) == 9.0
        window.end(state(9.0))
    assert float(source.next().begin()[0][0][0, 0, 0]) == 1.0


def test_state_and_load_state():
    source, other = (Streams(torch.arange(40), 2, 3, "training") for _ in range(2))
    for k in range(4):
        source.next().end(state(float(k)))
    other.load_state(source.state())
    for k in range(9):
        mine, theirs = source.next(), other.next()
        assert same(mine, theirs)
        a, b = mine.begin(), theirs.begin()
        assert (a is None and b is None) or (torch.equal(a[0][0], b[0][0]) and torch.equal(a[0][1], b[0][1]))
        mine.end(state(float(k)))
        theirs.end(state(float(k)))
    assert "resume with the same text" in refused(
        Streams(torch.arange(44), 2, 3, "training").load_state, source.state()
    )
    assert "resume with the same text" in refused(
        Streams(torch.arange(40), 2, 5, "training").load_state, source.state()
    )


def test_a_fresh_state_has_no_hidden_state():
    source, other = (Streams(torch.arange(40), 2, 3, "training") for _ in range(2))
    other.next().end(state(1.0))
    other.load_state(source.state())
    assert other.next().begin() is None


def test_two_processes_read_what_one_with_twice_the_streams_reads(monkeypatch):
    whole = Streams(torch.arange(60), 4, 7, "training")
    ranks = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(distributed, "world", lambda: 2)
        ranks.append(Streams(torch.arange(60), 2, 7, "training"))
    for _ in range(4):
        mine = torch.cat([source.next().targets for source in ranks], 1)
        assert torch.equal(mine, whole.next().targets)
    scored = [sum(rows_of(w) for w in source.once()) for source in (*ranks, whole)]
    assert scored[0] + scored[1] == scored[2]


def test_a_text_too_short_names_the_remedy():
    line = refused(Streams, torch.arange(100), 10, 70, "test")
    assert "the test text of 100 words gives 10 streams of 10 words" in line and "--bptt 70" in line
