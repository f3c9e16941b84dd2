"""The two ways in which an LSTM of nn.LSTM's options runs: by torch's own kernel, and layer by layer.

T time, B batch, H hidden units. A layer here has nn.LSTM's attributes, and `home` and `dropout_name`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Scope, value_of
from hyperopt_hn.nn.layers.affine_response import align
from hyperopt_hn.nn.layers.lstm.lstm_kernel import Steps
from hyperopt_hn.nn.layers.masks import keep_mask

State = tuple[Tensor, Tensor]


def by_torch(layer: Any, x: Tensor, hx: State | None, own: dict[str, Tensor]) -> tuple[Tensor, State]:
    """torch's kernel with the weights `own`, one set for the whole batch: what nn.LSTM takes and gives."""
    lone = x.dim() == 2
    time = x.unsqueeze(1) if lone else x.transpose(0, 1) if layer.batch_first else x
    zeros = time.new_zeros(layer.num_layers * ways(layer), time.shape[1], layer.hidden_size)
    hx = (zeros, zeros) if hx is None else (hx[0].unsqueeze(1), hx[1].unsqueeze(1)) if lone else hx
    flat = list(own.values())
    if layer.dropout_name is None or not layer.training or layer.num_layers == 1:
        out, h, c = kernel(layer, time, hx, flat, layer.num_layers, layer.dropout)
    else:
        out, h, c = _with_rates(layer, time, hx, flat)
    if lone:
        return out.squeeze(1), (h.squeeze(1), c.squeeze(1))
    return (out.transpose(0, 1) if layer.batch_first else out), (h, c)


def kernel(
    layer: Any, x: Tensor, state: State, weights: list[Tensor], layers: int = 1, dropout: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """torch.lstm on x (T, B, D): outputs, last hidden and cell states.

    cuDNN's goes backward only through a pass in training mode, which without dropout is the same as evaluation's; and
    it copies weights that do not lie one behind another, as none do that are computed, which it need not say.
    """
    train = layer.training or torch.is_grad_enabled()
    dropout = dropout if layer.training else 0.0
    with quiet_copies():
        return torch.lstm(x, state, weights, layer.bias, layers, dropout, train, layer.bidirectional, False)


@contextmanager
def quiet_copies() -> Iterator[None]:
    """Inside, cuDNN does not say that it copies weights that do not lie one behind another."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*not part of single contiguous chunk", UserWarning)
        yield


def by_layers(
    layer: Any, x: Tensor, hx: State | None, one: Callable[[Tensor, State, str], Steps]
) -> tuple[Tensor, State]:
    """Each layer in each direction by `one`(x (T, B, D), state ((B, H), (B, H)), suffix of its parameters' names)."""
    x = time_first(layer, x)
    last_h, last_c = [], []
    for k in range(layer.num_layers):
        outs = []
        for way in range(ways(layer)):
            suffix = f"_l{k}" + ("_reverse" if way else "")
            index = k * ways(layer) + way
            zeros = torch.zeros(x.shape[1], layer.hidden_size, device=x.device, dtype=x.dtype)
            state = (zeros, zeros) if hx is None else (hx[0][index], hx[1][index])
            out, h, c = one(x.flip(0) if way else x, state, suffix)
            outs.append(out.flip(0) if way else out)
            last_h.append(h)
            last_c.append(c)
        x = between(layer, outs[0] if len(outs) == 1 else torch.cat(outs, 2), k)
    return (x.transpose(0, 1) if layer.batch_first else x), (torch.stack(last_h), torch.stack(last_c))


def between(layer: Any, x: Tensor, k: int) -> Tensor:
    """The dropout after layer k, each example at its own rate."""
    if not layer.training or k == layer.num_layers - 1:
        return x
    if layer.dropout_name is None:
        return F.dropout(x, layer.dropout)
    rate = value_of(layer, layer.dropout_name)
    if isinstance(rate, Tensor) and rate.dim():
        rate = align(rate, x.shape[1], layer.home).unsqueeze(1)
    return x * keep_mask(tuple(x.shape), rate, x)


def time_first(layer: Any, x: Tensor) -> Tensor:
    """(T, B, D); UserError for a packed sequence, and for one without a batch."""
    check_padded(layer, x)
    if x.dim() != 3:
        raise UserError("one λ per example needs an input with a batch dimension; give λ as (n,) for one sequence")
    return x.transpose(0, 1) if layer.batch_first else x


def check_padded(layer: Any, x: Any) -> None:
    """UserError for a packed sequence."""
    if not isinstance(x, Tensor):
        kind = type(layer).__name__
        raise UserError(f"{kind} takes padded tensors, not packed sequences; unpack them and mask the loss")


def whole_batch(scope: Scope | None) -> bool:
    """Whether one set of weights serves the whole batch."""
    return scope is None or scope.h is None or (scope.h.dim() == 1 and not scope.tangent)


def ways(layer: Any) -> int:
    """The number of directions."""
    return 2 if layer.bidirectional else 1


def _with_rates(layer: Any, x: Tensor, hx: State, flat: list[Tensor]) -> Steps:
    each, n = len(flat) // layer.num_layers, ways(layer)
    last: list[State] = []
    for k in range(layer.num_layers):
        start = (hx[0][k * n : (k + 1) * n], hx[1][k * n : (k + 1) * n])
        own = flat[k * each : (k + 1) * each]
        x, h, c = kernel(layer, x, start, own)
        last.append((h, c))
        x = between(layer, x, k)
    return x, torch.cat([h for h, _ in last]), torch.cat([c for _, c in last])
