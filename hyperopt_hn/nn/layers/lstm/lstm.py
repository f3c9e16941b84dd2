"""HyperLSTM: nn.LSTM whose input-to-hidden and hidden-to-hidden weights respond to λ (MacKay et al. 2019, sec. 3.2).

T time, B batch, H hidden units, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, Scope, scope_of
from hyperopt_hn.nn.layers import squares
from hyperopt_hn.nn.layers.affine_response import (
    Gain,
    align,
    joined,
    merged,
    new_parameter,
    parts,
    product,
    reset_gain,
    reset_uniform,
    weights_at,
)
from hyperopt_hn.nn.layers.lstm.lstm_calls import State, by_layers, by_torch, check_padded, whole_batch
from hyperopt_hn.nn.layers.lstm.lstm_kernel import GateInput, Steps, recur, recur_tangent
from hyperopt_hn.nn.layers.masks import connected
from hyperopt_hn.nn.layers.plain import Around


class HyperLSTM(Around):
    """nn.LSTM in all but proj_size and packed sequences; every gate of both products has its own response scalar.

    Elementary parameters have nn.LSTM's names; beside `weight_ih_l0` stand `response_weight_ih_l0`,
    `response_scale_ih_l0` (V, (4H, n)) and, with biases, `response_bias_ih_l0`, `response_shift_ih_l0` (C).
    `dropout_name` names a hyperparameter for the dropout between layers, `dropconnect` a shared one for dropping
    single hidden-to-hidden weights, one mask per batch. Without tuned hyperparameters, and wherever all examples
    share λ, this is torch's own LSTM with the weights at λ (a loop by hand is no faster there).
    """

    plain_class = nn.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_hyper: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        super().__init__()
        if proj_size:
            raise UserError("HyperLSTM has no response for proj_size; leave it out or keep this LSTM plain (exclude)")
        shape = nn.LSTM(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device="meta")
        self.input_size, self.hidden_size, self.num_hyper, self.proj_size = input_size, hidden_size, num_hyper, 0
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional, self.gain = float(dropout), bidirectional, gain
        self.dropout_name: str | None = None
        self.dropconnect: str | None = None
        self.mode = shape.mode
        self.home = Home(None, num_hyper)
        like = torch.empty(0, device=device, dtype=dtype)
        for name, parameter in shape.named_parameters():
            own = new_parameter(tuple(parameter.shape), like)
            self.register_parameter(name, own)
            if num_hyper:
                self.register_parameter("response_" + name, new_parameter(tuple(own.shape), like))
                self.register_parameter(_gain_name(name), new_parameter((own.shape[0], num_hyper), like))
        self.reset_parameters()

    def flatten_parameters(self) -> None:
        """Nothing, for code that calls nn.LSTM's: its weights are computed, so that they never lie in one piece."""

    def reset_parameters(self) -> None:
        """Elementary part U(±1/sqrt(H)) as nn.LSTM's, R and b_R alike, V and C by `gain`."""
        for name, _ in self._elementary():
            reset_uniform(self.get_parameter(name), self.hidden_size)
        self.reset_response()

    def reset_response(self) -> None:
        """The response part alone."""
        if self.num_hyper:
            for name, _ in self._elementary():
                reset_uniform(self.get_parameter("response_" + name), self.hidden_size)
                reset_gain(self.get_parameter(_gain_name(name)), self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by nn.LSTM's names."""
        out = {}
        for name, own in self._elementary():
            s = product(h, self.get_parameter(_gain_name(name)))
            out[name] = merged(own, s if own.dim() == 1 else s.unsqueeze(1), self.get_parameter("response_" + name))
        return out

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {
            name: squares.full(own, self.get_parameter("response_" + name), self._gain(name))
            for name, own in self._elementary()
            if name.startswith("weight")
        }

    def forward(self, input: Tensor, hx: State | None = None) -> tuple[Tensor, State]:
        """(T, B, in), (B, T, in) if batch_first, or (T, in) -> outputs alike and the last states, as nn.LSTM."""
        check_padded(self, input)
        scope = scope_of(self) if self.num_hyper else None
        if scope is not None and not whole_batch(scope):
            return by_layers(self, input, hx, lambda x, state, suffix: self._one(x, state, suffix, scope))
        own = dict(self._elementary())
        if scope is not None and scope.h is not None:
            own = weights_at(self, scope)
        if self.dropconnect is not None:
            own = {n: connected(self, self.dropconnect, w, None)[0] if "weight_hh" in n else w for n, w in own.items()}
        return by_torch(self, input, hx, own)

    def _one(self, x: Tensor, state: State, suffix: str, scope: Scope) -> Steps:
        """One layer in one direction."""
        ih, hh = "weight_ih" + suffix, "weight_hh" + suffix
        own = self.get_parameter(hh), self.get_parameter("response_" + hh)
        weight, response = connected(self, self.dropconnect, *own)
        assert scope.h is not None and response is not None
        bias, shift = self._offsets(suffix, scope.h)
        s_in, shift, s = (
            None if rows is None else self._rows(rows, x)
            for rows in (product(scope.h, self._gain(ih)), shift, product(scope.h, self._gain(hh)))
        )
        assert s_in is not None and s is not None
        into, back = (
            GateInput(self.get_parameter(ih), self.get_parameter("response_" + ih), s_in),
            GateInput(weight, response, s),
        )
        if not scope.tangent:
            return recur(x, state, into, back, None if shift is None or bias is None else shift + bias)
        primal, tangent = parts(x, scope)
        push, z = F.linear(primal, into.weight, bias), F.linear(primal, into.response)
        moved = into.scale.to(z.dtype) * z
        moved = moved if shift is None else moved + shift.to(z.dtype)
        if tangent is not None:
            moved = moved + F.linear(tangent, into.weight)
        scale = s.to(z.dtype)
        still, motion = recur_tangent((push, moved), state, weight, lambda v: scale * F.linear(v, response))
        out, hidden, cell = (joined(p, d) for p, d in zip(still, motion, strict=True))
        return out, hidden, cell

    def _offsets(self, suffix: str, h: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Both biases together (4H,), and what their response adds to them; None without biases."""
        if not self.bias:
            return None, None
        names = "bias_ih" + suffix, "bias_hh" + suffix
        first, second = (product(h, self._gain(n)) * self.get_parameter("response_" + n) for n in names)
        return self.get_parameter(names[0]) + self.get_parameter(names[1]), first + second

    def _rows(self, rows: Tensor, x: Tensor) -> Tensor:
        return align(rows if rows.dim() == 2 else rows.expand(x.shape[1], -1), x.shape[1], self.home)

    def _gain(self, name: str) -> Tensor:
        return self.get_parameter(_gain_name(name))

    def _elementary(self) -> Iterator[tuple[str, Tensor]]:
        return ((name, p) for name, p in self.named_parameters(recurse=False) if not name.startswith("response_"))

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_hyper={self.num_hyper}, num_layers={self.num_layers}, "
            f"bias={self.bias}, batch_first={self.batch_first}, dropout={self.dropout_name or self.dropout}, "
            f"bidirectional={self.bidirectional}"
        )


def _gain_name(name: str) -> str:
    return name.replace("weight", "response_scale") if "weight" in name else name.replace("bias", "response_shift")
