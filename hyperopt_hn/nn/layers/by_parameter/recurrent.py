"""Recurrent modules of torch whose parameters respond by themselves: time step by time step, each row at its own λ.

Slower than torch's kernels, which take one set of weights for a batch; these run wherever no example has a λ of its
own: in training steps at λ̂ and in collapsed models. Equations: torch.nn.GRU, RNN, LSTM and their cells.
T time, B batch, F units of a product; rows of a response are (F,), or (B, F).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperopt_hn.nn.layers.by_parameter.reading import Escape, Reading, handles

State = tuple[Tensor, ...]
"""h (B, H); of an LSTM also c."""
Step = Callable[[Tensor, Callable[[Tensor], Tensor], State], State]
"""From what the input gives (B, F), the product of h with its weights, and the state: the next state."""


def _gru(given: Tensor, product: Callable[[Tensor], Tensor], state: State) -> State:
    (h,) = state
    (r, z, n), (hr, hz, hn) = given.chunk(3, -1), product(h).chunk(3, -1)
    update = torch.sigmoid(z + hz)
    new = torch.tanh(n + torch.sigmoid(r + hr) * hn)
    return (new + update * (h - new),)


def _lstm(given: Tensor, product: Callable[[Tensor], Tensor], state: State) -> State:
    h, c = state
    i, f, g, o = (given + product(h)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _plain(squash: Callable[[Tensor], Tensor]) -> Step:
    return lambda given, product, state: (squash(given + product(state[0])),)


STEPS: dict[str, Step] = {"gru": _gru, "lstm": _lstm, "rnn_tanh": _plain(torch.tanh), "rnn_relu": _plain(torch.relu)}


@handles("gru", "rnn_tanh", "rnn_relu", "lstm")
def _layers(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    name = func.__name__
    if kwargs or len(args) != 9 or (isinstance(args[1], Tensor) and not args[1].is_floating_point()):
        raise Escape(f"{name} of packed sequences")
    x, start, flat, bias, layers, dropout, training, both, batch_first = args
    start = start if isinstance(start, (tuple, list)) else (start,)
    x = x.transpose(0, 1) if batch_first else x
    ways = 2 if both else 1
    count = len(flat) // (layers * ways)
    ends: list[State] = []
    for layer in range(layers):
        outs = []
        for way in range(ways):
            place = layer * ways + way
            held = flat[place * count : (place + 1) * count]
            out, end = _along(mode, name, x.flip(0) if way else x, tuple(s[place] for s in start), held, bias)
            outs.append(out.flip(0) if way else out)
            ends.append(end)
        x = torch.cat(outs, -1)
        if layer + 1 < layers and dropout:
            x = F.dropout(x, dropout, training)
    x = x.transpose(0, 1) if batch_first else x
    return (x, *(torch.stack(parts) for parts in zip(*ends, strict=True)))


def _along(
    mode: Reading, name: str, x: Tensor, state: State, held: Sequence[Tensor], bias: bool
) -> tuple[Tensor, State]:
    """One direction of one layer: outputs (T, B, H) of inputs (T, B, I), and the last state."""
    w, u = held[:2]
    b, c = held[2:4] if bias else (None, None)
    projection = held[-1] if len(held) == (5 if bias else 3) else None
    given, outs = _product(mode, x, w, b), []
    for row in given.unbind(0):
        state = STEPS[name](row, lambda h: _product(mode, h, u, c), state)
        if projection is not None:
            state = (_product(mode, state[0], projection, None), *state[1:])
        outs.append(state[0])
    return torch.stack(outs), state


@handles("gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "lstm_cell")
def _cell(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    if kwargs or len(args) != 6:
        raise Escape(func.__name__)
    x, start, w, u, b, c = args
    state = tuple(start) if isinstance(start, (tuple, list)) else (start,)
    name = func.__name__.removesuffix("_cell")
    state = STEPS[name](_product(mode, x, w, b), lambda h: _product(mode, h, u, c), state)
    return state if name == "lstm" else state[0]


def _product(mode: Reading, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """x (..., B, I) by w (F, I) and b (F,), each row at its own λ."""
    y = F.linear(x, w)
    weight, offset = mode.use(w), None if b is None else mode.use(b)
    for use in (weight, offset):
        if use is not None and use.scope.h is not None and use.scope.h.dim() == 2 and len(use.scope.h) != y.shape[-2]:
            raise Escape("other rows than the batch's")
    if weight is not None:
        if weight.axis != 0:
            raise Escape("another axis")
        rows = weight.rows.to(y.dtype)
        y = weight.bump(y, lambda primal: primal * rows)
    if b is not None:
        y = y + b
    if offset is not None:
        moved = offset.entries().to(y.dtype)
        y = offset.bump(y, moved.expand_as)
    return y
