"""A text as parallel streams, read window by window, the hidden state carried from one window to the next.

    N words of a text   B streams   T words of a window (the published bptt)   D hidden units

A text of N words is cut into B streams of N // B; what does not fill them all is left out. Of each stream every word
but the first is scored exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from deep.lstm.network import State
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed


class Carry:
    """The state between two windows, cut off from the graph; None means zero."""

    state: State | None = None


class Window:
    """A batch: `tokens` (T, B), the words that follow them `targets` (T, B), and where the hidden state comes from.

    `rows` is what a tuner counts: examples, each with its own λ, in training; scored words in evaluation.
    """

    def __init__(self, tokens: Tensor, targets: Tensor, rows: int, carry: Carry) -> None:
        self.tokens, self.targets, self.rows = tokens, targets, rows
        self._carry = carry
        self._before: State | None = None
        self._begun = self._ended = False

    def begin(self) -> State | None:
        """The state before the window, however often it is asked for: both parts of a Δ-STN's step start there."""
        if not self._begun:
            self._before, self._begun = self._carry.state, True
        return self._before

    def end(self, state: State) -> None:
        """Carry on the state after the window. The first one counts: a Δ-STN's first pass is the one at λ̂."""
        if not self._ended:
            self._carry.state = tuple((_kept(h), _kept(c)) for h, c in state)
            self._ended = True

    def tensors(self) -> list[Tensor]:
        """Tokens, targets, and the state before the window, if there is one."""
        return [self.tokens, self.targets, *(part for layer in self.begin() or () for part in layer)]

    def like(self, tensors: Sequence[Tensor]) -> Window:
        """A window of these tokens, targets and state, which carries its own on."""
        tokens, targets, *parts = tensors
        carry = Carry()
        carry.state = tuple(zip(parts[::2], parts[1::2], strict=True)) or None
        return Window(tokens, targets, self.rows, carry)

    def carried(self) -> tuple[Tensor, ...]:
        """The state after it, layer by layer; nothing before a pass has ended."""
        return tuple(part for layer in (self._carry.state or () if self._ended else ()) for part in layer)

    def carry(self, tensors: Sequence[Tensor]) -> None:
        """End with this state."""
        self.end(tuple(zip(tensors[::2], tensors[1::2], strict=True)))


class Streams:
    """A `Source` of windows over one text, in order, for ever; each pass over it starts from a zero state.

    `tokens` (N,) int64 on the device. Under torchrun `batch` is one rank's number of streams.
    Raises UserError for a text that does not fill a window of `bptt` in every stream.
    """

    def __init__(self, tokens: Tensor, batch: int, bptt: int, split: str) -> None:
        self.rank, self.world = distributed.rank(), distributed.world()
        self.batch, self.bptt = batch, bptt
        self.length = len(tokens) // (batch * self.world)
        if not 1 <= bptt < self.length:
            raise UserError(
                f"the {split} text of {len(tokens)} words gives {batch * self.world} streams of {self.length} words, "
                f"too few for --bptt {bptt}; choose a smaller --bptt, fewer streams (--batch, --eval-batch, "
                "--test-batch) or a longer text"
            )
        streams = tokens[: self.length * batch * self.world].view(-1, self.length)
        self._words = streams[self.rank * batch : (self.rank + 1) * batch].t().contiguous()  # (length, B)
        self._place = 0
        self._carry = Carry()

    @property
    def windows(self) -> int:
        """How many windows one pass has; the last may be shorter."""
        return -(-(self.length - 1) // self.bptt)

    def next(self) -> Window:
        """The next window, its `rows` the number of streams."""
        if self._place == 0:
            self._carry = Carry()
        window = self._window(self._place, self.batch, self._carry)
        self._place = (self._place + 1) % self.windows
        return window

    def once(self) -> Iterator[Window]:
        """This rank's streams once, from a zero state of their own, `rows` the words scored."""
        carry = Carry()
        for place in range(self.windows):
            yield self._window(place, None, carry)

    def state(self) -> dict[str, Any]:
        """The place in the text and the carried state, every rank's; all ranks must call it together."""
        before = self._carry.state or ()
        parts = [distributed.gather(part) for layer in before for part in layer]
        return {"place": self._place, "length": self.length, "batch": self.batch, "bptt": self.bptt, "carry": parts}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`; UserError for another text, number of streams or window."""
        mine = [self.length, self.batch, self.bptt]
        parts = state["carry"]
        if [state["length"], state["batch"], state["bptt"]] != mine or any(len(p) != self.world for p in parts):
            raise UserError("the checkpoint's streams are of another length, batch, bptt or number of processes; "
                            "resume with the same text and settings")  # fmt: skip
        self._place, self._carry = state["place"], Carry()
        own = [part[self.rank].to(self._words.device) for part in parts]
        if own:
            self._carry.state = tuple((h, c) for h, c in zip(own[::2], own[1::2], strict=True))

    def _window(self, place: int, rows: int | None, carry: Carry) -> Window:
        start = place * self.bptt
        stop = min(start + self.bptt, self.length - 1)
        scored = (stop - start) * self.batch
        return Window(
            self._words[start:stop], self._words[start + 1 : stop + 1], scored if rows is None else rows, carry
        )


def _kept(x: Tensor) -> Tensor:
    """Cut off from the graph, and in float32 where it was computed in less."""
    return x.detach() if x.dtype == torch.float64 else x.detach().float()


def words(ids: Any, device: torch.device) -> Tensor:
    """A text's word ids (N,), numpy, as int64 on the device."""
    return torch.as_tensor(ids.astype("int64"), device=device)


def rows_of(window: Window) -> int:
    """For TorchProblem: examples in training, scored words in evaluation."""
    return window.rows
