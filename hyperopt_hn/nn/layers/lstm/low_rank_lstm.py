"""LowRankLSTM: nn.LSTM whose two products respond by a low rank (see `low_rank`).

T time, B batch, H hidden units, k rank, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.nn.context import Scope
from hyperopt_hn.nn.layers import low_rank, squares
from hyperopt_hn.nn.layers.affine_response import (
    joined,
    lift_time,
    parts,
    product,
    weights_at,
    with_tangent,
)
from hyperopt_hn.nn.layers.in_place import InPlace
from hyperopt_hn.nn.layers.lstm.low_rank_kernel import recur_low_rank
from hyperopt_hn.nn.layers.lstm.lstm_calls import State, by_layers, by_torch, check_padded, quiet_copies, whole_batch
from hyperopt_hn.nn.layers.lstm.lstm_kernel import Steps, recur_tangent
from hyperopt_hn.nn.layers.masks import connected


class LowRankLSTM(InPlace, nn.LSTM):
    """nn.LSTM in all but proj_size; W + U diag(V h) Z in both products of each layer, per example, and biases + T h.

    `dropout_name` names a hyperparameter for the dropout between layers, `dropconnect` a shared one for dropping
    single entries of the hidden-to-hidden W, one mask per batch. Where no λ differs from the centre this is torch's
    own LSTM, packed sequences included, and wherever all examples share λ it runs with the weights at λ.
    """

    dropout_name: str | None = None
    dropconnect: str | None = None

    def make_response(self) -> None:
        """U, V and Z of each weight, T of each input-to-hidden one with a bias."""
        for name in self._weight_names():
            own = self.get_parameter(name)
            low_rank.register(self, _suffix(name), own.shape[0], (own.shape[1],), own, self.bias and "_ih" in name)

    def reset_response(self) -> None:
        """The response part alone."""
        for name in self._weight_names():
            low_rank.reset(low_rank.part_of(self, _suffix(name)), self.gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by nn.LSTM's names."""
        out = self._own()
        for name in self._weight_names():
            part = low_rank.part_of(self, _suffix(name))
            out[name] = out[name] + part.matrix(h)
            if part.shift is not None:
                bias = name.replace("weight", "bias")
                out[bias] = out[bias] + product(h, part.shift).to(out[bias].dtype)
        return out

    def norms(self) -> dict[str, squares.Quadratic]:
        """|W(λ)|² in h, by name."""
        return {
            name: squares.low_rank(self.get_parameter(name), low_rank.part_of(self, _suffix(name)))
            for name in self._weight_names()
        }

    def forward(self, input: Tensor, hx: State | None = None) -> tuple[Tensor, State]:  # type: ignore[override]
        """(T, B, in), (B, T, in) if batch_first, or (T, in) -> outputs alike and the last states, as nn.LSTM."""
        scope = self.scope()
        still = scope is None or scope.h is None
        if still and self.dropconnect is None and self.dropout_name is None:
            with quiet_copies():
                return super().forward(input, hx)
        check_padded(self, input)
        if not whole_batch(scope):
            return by_layers(self, input, hx, lambda x, state, suffix: self._one(x, state, suffix, scope))
        own = self._own() if scope is None or scope.h is None else weights_at(self, scope)
        if self.dropconnect is not None and self.training:
            for name in (n for n in self._weight_names() if "_hh" in n):  # the mask leaves the response alone
                general = self.get_parameter(name)
                dropped, _ = connected(self, self.dropconnect, general, None)
                own[name] = dropped if own[name] is general else own[name] - general + dropped
        return by_torch(self, input, hx, own)

    def _one(self, x: Tensor, state: State, suffix: str, scope: Scope | None) -> Steps:
        """One layer in one direction."""
        assert scope is not None and scope.h is not None
        bias = self.get_parameter("bias_ih" + suffix) + self.get_parameter("bias_hh" + suffix) if self.bias else None
        into, back = low_rank.part_of(self, "_ih" + suffix), low_rank.part_of(self, "_hh" + suffix)
        y = with_tangent(F.linear, x, (self.get_parameter("weight_ih" + suffix), bias), scope)
        z = low_rank.inner_product(parts(x, scope)[0], into.inner)
        pre = low_rank.add_to_features(y, z, into, (scope, self.home), lift_time)
        weight, _ = connected(self, self.dropconnect, self.get_parameter("weight_hh" + suffix), None)
        rows = product(scope.h, back.gain)
        rows = lift_time(rows if rows.dim() == 2 else rows.expand(x.shape[1], -1), pre, self.home)
        if not scope.tangent:
            return recur_low_rank(pre, state, weight, (back.outer, back.inner, rows))
        primal, moved = parts(pre, scope)
        assert moved is not None
        still, motion = recur_tangent(
            (primal, moved), state, weight, lambda v: F.linear(rows * F.linear(v, back.inner), back.outer)
        )
        out, hidden, cell = (joined(p, d) for p, d in zip(still, motion, strict=True))
        return out, hidden, cell

    def _own(self) -> dict[str, Tensor]:
        return {n: p for n, p in self.named_parameters(recurse=False) if not n.startswith("response_")}

    def _weight_names(self) -> list[str]:
        return [n for n in self._own() if n.startswith("weight")]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}"


def _suffix(name: str) -> str:
    return name.removeprefix("weight")
