"""What a pass is recorded with: a batch's tensors, and what of it is none (recorded on a GPU: test_on_cuda)."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from deep.lstm.streams import Streams  # noqa: E402
from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn import TunerConfig  # noqa: E402
from hyperopt_hn.nn.tuning.graphs import Carrying, graphs_of, taken_apart  # noqa: E402
from tests.hyperopt_hn.nn.tuning.test_tuner import build  # noqa: E402


def test_a_tree_of_tensors_is_put_together_again():
    batch = {"x": torch.zeros(2), "more": (torch.ones(3), "word", 4)}
    tensors, rebuilt, still = taken_apart(batch)
    assert [t.shape for t in tensors] == [(2,), (3,)]
    other = rebuilt([torch.full((2,), 7.0), torch.full((3,), 8.0)])
    assert other["x"].tolist() == [7.0, 7.0] and other["more"][0].tolist() == [8.0] * 3
    assert other["more"][1:] == ("word", 4)
    assert still == taken_apart({"x": torch.ones(2), "more": (torch.ones(3), "word", 4)})[2]
    assert still != taken_apart({"x": torch.ones(2), "more": (torch.ones(3), "word", 5)})[2]
    assert still != taken_apart((torch.zeros(2), torch.ones(3), "word", 4))[2]


def test_what_cannot_be_compared_is_named():
    with pytest.raises(UserError, match="beside tensors"):
        taken_apart((torch.zeros(2), bytearray(b"x")))


def test_a_window_goes_on_from_the_state_that_a_pass_of_its_twin_left():
    windows = Streams(torch.arange(41), 2, 5, "training")
    first = windows.next()
    assert isinstance(first, Carrying) and len(first.tensors()) == 2
    twin = first.like(first.tensors())
    assert twin.begin() is None and twin.carried() == ()
    state = ((torch.ones(1, 2, 3), torch.full((1, 2, 3), 2.0)),)
    twin.end(state)
    first.carry(twin.carried())
    second = windows.next()
    tokens, targets, h, c = second.tensors()
    assert torch.equal(h, state[0][0]) and torch.equal(c, state[0][1])
    assert torch.equal(tokens, second.tokens) and torch.equal(targets, second.targets)
    again = second.like([tokens + 1, targets, h, c])
    assert torch.equal(again.tokens, tokens + 1) and torch.equal(again.begin()[0][1], c)


def test_without_a_gpu_nothing_is_recorded():
    tuner = build("stn")
    assert graphs_of(TunerConfig(graphs=True), tuner.losses, tuner.response) is None
