"""One LSTM layer whose recurrent weights respond by a low rank, example by example, and its backward by hand.

T time, B batch, H hidden units, k rank; gates in torch's order i, f, g, o. As in `lstm_kernel`, one product over all
steps gives each weight's gradient; here the input's part of the gates comes ready made, and frozen weights cost none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hyperopt_hn.nn.layers.lstm.lstm_kernel import Steps, gate_gradients, open_gates

Low = tuple[Tensor, Tensor, Tensor]
"""U (4H, k), Z (k, H), and V h for each example, (B, k)."""


def recur_low_rank(pre: Tensor, state: tuple[Tensor, Tensor], weight: Tensor, low: Low) -> Steps:
    """The layer over gates that lack their recurrent part, `pre` (T, B, 4H), from state ((B, H), (B, H)).

    Each step adds W v + U (V h ⊙ Z v) of the last hidden state v. In pre's dtype, or in autocast's. Differentiable
    once.
    """
    device = pre.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else pre.dtype
    same = [part.to(dtype) for part in (pre, *state, weight, *low)]
    with torch.autocast(device, enabled=False):
        out: Steps = _Recurrence.apply(*same)
    return out


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pre: Tensor, hidden: Tensor, cell: Tensor, *given: Tensor) -> Steps:
        weight, outer, inner, scale = given
        (steps, batch, _), size = pre.shape, hidden.shape[1]
        keep = any(ctx.needs_input_grad)
        turned, outer_turned, inner_turned = (w.t().contiguous() for w in (weight, outer, inner))
        gates = pre.clone()
        z = pre.new_empty(steps, batch, inner.shape[0])
        squashed = pre.new_empty(steps if keep else 1, batch, size)
        hiddens, cells = pre.new_empty(steps + 1, batch, size), pre.new_empty(steps + 1, batch, size)
        hiddens[0], cells[0] = hidden, cell
        for t in range(steps):
            torch.mm(hiddens[t], inner_turned, out=z[t])
            gates[t].addmm_(hiddens[t], turned).addmm_(z[t] * scale, outer_turned)
            open_gates(gates[t], cells[t], cells[t + 1], squashed[t if keep else 0], hiddens[t + 1])
        if keep:
            ctx.save_for_backward(*given, gates, z, squashed, hiddens, cells)
        return hiddens[1:], hiddens[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_hidden: Tensor, grad_cell: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(grad_out.device.type, enabled=False):
            return _pull(ctx, grad_out, grad_hidden, grad_cell)


def _pull(ctx: Any, grad_out: Tensor, grad_hidden: Tensor, grad_cell: Tensor) -> tuple[Tensor | None, ...]:
    weight, outer, inner, scale, gates, z, squashed, hiddens, cells = ctx.saved_tensors
    steps = gates.shape[0]
    moved, directions = torch.empty_like(gates), torch.empty_like(z)
    dscale = torch.zeros_like(scale)
    dh, dc = grad_hidden + grad_out[-1], grad_cell.clone()
    for t in range(steps - 1, -1, -1):
        d, dz = moved[t], directions[t]
        gate_gradients(gates[t], squashed[t], cells[t], (dh, dc), d)
        torch.mm(d, outer, out=dz)
        dscale.addcmul_(dz, z[t])
        dz.mul_(scale)
        dh = torch.mm(d, weight) if t == 0 else torch.addmm(grad_out[t - 1], d, weight)
        dh.addmm_(dz, inner)
    rows, before, need = moved.flatten(0, 1), hiddens[:-1].flatten(0, 1), ctx.needs_input_grad
    dweight = rows.t() @ before if need[3] else None
    douter = rows.t() @ (z * scale).flatten(0, 1) if need[4] else None
    dinner = directions.flatten(0, 1).t() @ before if need[5] else None
    return moved, dh, dc, dweight, douter, dinner, dscale
