"""GatedLSTM: nn.LSTM on torch's own kernel, each layer's inputs scaled and its gates shifted by λ.

T time, B batch, H hidden units, D a layer's inputs, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Scope
from hyperopt_hn.nn.layers import gate, squares
from hyperopt_hn.nn.layers.affine_response import (
    joined,
    lift_time,
    merged_once,
    parts,
    product,
    reset_gain,
    with_tangent,
)
from hyperopt_hn.nn.layers.in_place import InPlace
from hyperopt_hn.nn.layers.lstm.lstm_calls import (
    State,
    between,
    by_layers,
    by_torch,
    check_padded,
    kernel,
    quiet_copies,
    time_first,
    ways,
    whole_batch,
)
from hyperopt_hn.nn.layers.lstm.lstm_kernel import Steps, recur_tangent
from hyperopt_hn.nn.layers.masks import connected


class GatedLSTM(InPlace, nn.LSTM):
    """nn.LSTM in all but proj_size: W_ih diag(1 + S h) in each layer, per example, and with biases b_ih + T h.

    So layer k's inputs, the units of layer k - 1, are gated and all gates are shifted; W_hh itself does not respond,
    which is what lets torch's own kernel run (on a GPU cuDNN's), h being further inputs with T as their weights.
    `dropout_name` names a hyperparameter for the dropout between layers, `dropconnect` a shared one for dropping single
    hidden-to-hidden weights, one mask per batch.
    """

    dropout_name: str | None = None
    dropconnect: str | None = None

    def make_response(self) -> None:
        """S of each layer, T of each direction."""
        for k in range(self.num_layers):
            like = self.get_parameter(f"weight_ih_l{k}")
            gate.register(self, f"_l{k}", {"scale": like.shape[1]}, self.num_hyper, like)
            for suffix in self._suffixes(k) if self.bias else ():
                gate.register(self, suffix, {"shift": like.shape[0]}, self.num_hyper, like)

    def reset_response(self) -> None:
        """The response part alone."""
        for name, parameter in self.named_parameters(recurse=False):
            if name.startswith("response_"):
                reset_gain(parameter, self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by nn.LSTM's names."""
        out = self._own()
        for k in range(self.num_layers):
            s = product(h, self._scale(k))
            for suffix in self._suffixes(k):
                out["weight_ih" + suffix] = gate.scaled(out["weight_ih" + suffix], s, 1)
                if self.bias:
                    bias = out["bias_ih" + suffix]
                    out["bias_ih" + suffix] = bias + product(h, self._shift(suffix)).to(bias.dtype)
        return out

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {
            "weight_ih" + suffix: squares.gated(self.get_parameter("weight_ih" + suffix), self._scale(k), 1)
            for k in range(self.num_layers)
            for suffix in self._suffixes(k)
        }

    def forward(self, input: Tensor, hx: State | None = None) -> tuple[Tensor, State]:  # type: ignore[override]
        """(T, B, in), (B, T, in) if batch_first, or (T, in) -> outputs alike and the last states, as nn.LSTM."""
        scope = self.scope()
        still = scope is None or scope.h is None
        if still and self.dropconnect is None and self.dropout_name is None:
            with quiet_copies():
                return super().forward(input, hx)
        check_padded(self, input)
        own = self._own()
        if scope is not None and scope.h is not None:
            if scope.tangent:
                return by_layers(self, input, hx, lambda x, state, suffix: self._linearised(x, state, suffix, scope))
            both = merged_once(self, scope) if whole_batch(scope) else None
            if both is None and input.dim() == 3:
                return self._gated(input, hx, scope, self._dropped(own))
            own = dict(both or self.weights(scope.h))
        return by_torch(self, input, hx, self._dropped(own))

    def _gated(self, x: Tensor, hx: State | None, scope: Scope, own: dict[str, Tensor]) -> tuple[Tensor, State]:
        x, n = time_first(self, x), ways(self)
        zeros = torch.zeros(self.num_layers * n, x.shape[1], self.hidden_size, device=x.device, dtype=x.dtype)
        hidden, cell = (zeros, zeros) if hx is None else hx
        last: list[State] = []
        for k in range(self.num_layers):
            x = gate.opened(x, (self._scale(k), None), (scope, self.home), lift_time)
            if self.bias:
                assert scope.h is not None
                h = lift_time(scope.h, x, self.home)
                x = torch.cat([x, h.expand(*x.shape[:2], -1)], 2)
            flat = [w for suffix in self._suffixes(k) for w in self._flat(suffix, own)]
            state = hidden[k * n : (k + 1) * n], cell[k * n : (k + 1) * n]
            x, h_k, c_k = kernel(self, x, state, flat)
            last.append((h_k, c_k))
            x = between(self, x, k)
        states = torch.cat([h for h, _ in last]), torch.cat([c for _, c in last])
        return (x.transpose(0, 1) if self.batch_first else x), states

    def _flat(self, suffix: str, own: dict[str, Tensor]) -> list[Tensor]:
        """One direction's weights in torch's order, W_ih with T as the weights of n further inputs."""
        out = [
            own[kind + suffix] for kind in ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ()))
        ]
        if self.bias:
            out[0] = torch.cat([out[0], self._shift(suffix)], 1)
        return out

    def _linearised(self, x: Tensor, state: State, suffix: str, scope: Scope) -> Steps:
        bias = self.get_parameter("bias_ih" + suffix) + self.get_parameter("bias_hh" + suffix) if self.bias else None
        call, k = (scope, self.home), int(suffix.split("_")[1][1:])
        x = gate.opened(x, (self._scale(k), None), call, lift_time)
        pre = with_tangent(F.linear, x, (self.get_parameter("weight_ih" + suffix), bias), scope)
        if self.bias:
            pre = gate.shifted(pre, self._shift(suffix), call, lift_time)
        weight, _ = connected(self, self.dropconnect, self.get_parameter("weight_hh" + suffix), None)
        primal, moved = parts(pre, scope)
        assert moved is not None
        still, motion = recur_tangent((primal, moved), state, weight, None)
        out, hidden, cell = (joined(p, d) for p, d in zip(still, motion, strict=True))
        return out, hidden, cell

    def _dropped(self, own: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.dropconnect is None:
            return own
        return {n: connected(self, self.dropconnect, w, None)[0] if "weight_hh" in n else w for n, w in own.items()}

    def _own(self) -> dict[str, Tensor]:
        return {n: p for n, p in self.named_parameters(recurse=False) if not n.startswith("response_")}

    def _suffixes(self, k: int) -> tuple[str, ...]:
        return (f"_l{k}", f"_l{k}_reverse")[: ways(self)]

    def _scale(self, k: int) -> Tensor:
        return self.get_parameter(f"response_scale_l{k}")

    def _shift(self, suffix: str) -> Tensor:
        return self.get_parameter("response_shift" + suffix)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}"
