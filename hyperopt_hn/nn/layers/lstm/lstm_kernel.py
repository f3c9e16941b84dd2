"""One LSTM layer whose weights respond example by example, and its backward by hand.

T time, B batch, D inputs, H hidden units; gates in torch's order i, f, g, o. Autograd over a loop would keep a graph of
a dozen nodes a step and accumulate the weights' gradient T times; here one product over all steps gives it, and W and
R, which take the same input, are one matrix in every product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Steps = tuple[Tensor, Tensor, Tensor]
"""Outputs (T, B, H), last hidden state (B, H), last cell state (B, H)."""


@dataclass(frozen=True)
class GateInput:
    """What the gates take from the layer's input, or from the hidden state v: W v + `scale` ⊙ (R v).

    `weight` and `response` (4H, size of v), `scale` (B, 4H).
    """

    weight: Tensor
    response: Tensor
    scale: Tensor


def recur(x: Tensor, state: tuple[Tensor, Tensor], into: GateInput, back: GateInput, offset: Tensor | None) -> Steps:
    """The layer over x (T, B, D) from state ((B, H), (B, H)), `offset` (B, 4H) in all its gates.

    In x's dtype, or in autocast's. Differentiable once.
    """
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    sides = [part for side in (into, back) for part in (side.weight, side.response, side.scale)]
    same = [part.to(dtype) for part in (x, *state, *sides)]
    with torch.autocast(device, enabled=False):
        out: Steps = _Recurrence.apply(*same, None if offset is None else offset.to(dtype))
    return out


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, hidden: Tensor, cell: Tensor, *given: Tensor | None) -> Steps:
        weight_in, response_in, scale_in, weight, response, scale, offset = given
        assert weight_in is not None and response_in is not None and scale_in is not None
        assert weight is not None and response is not None and scale is not None
        (steps, batch, _), size = x.shape, hidden.shape[1]
        wide = 4 * size
        keep = any(ctx.needs_input_grad)
        gates, z = ((x.flatten(0, 1) @ w.t()).view(steps, batch, wide) for w in (weight_in, response_in))
        turned, product = _turned(weight, response), x.new_empty(batch, 2 * wide)
        answers = gates.new_empty(steps if keep else 0, batch, wide)
        squashed = x.new_empty(steps if keep else 1, batch, size)
        hiddens, cells = x.new_empty(steps + 1, batch, size), x.new_empty(steps + 1, batch, size)
        hiddens[0], cells[0] = hidden, cell
        for t in range(steps):
            a = gates[t]
            torch.mm(hiddens[t], turned, out=product)
            a.add_(product[:, :wide]).addcmul_(scale, product[:, wide:]).addcmul_(scale_in, z[t])
            if offset is not None:
                a.add_(offset)
            if keep:
                answers[t] = product[:, wide:]
            open_gates(a, cells[t], cells[t + 1], squashed[t if keep else 0], hiddens[t + 1])
        if keep:
            ctx.save_for_backward(x, *given[:-1], gates, z, answers, squashed, hiddens, cells)
            ctx.offset = offset is not None
        return hiddens[1:], hiddens[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_hidden: Tensor, grad_cell: Tensor) -> tuple[Tensor | None, ...]:
        x, *given, gates, z, answers, squashed, hiddens, cells = ctx.saved_tensors
        weight_in, response_in, scale_in, weight, response, scale = given
        steps, batch, wide = gates.shape
        # Gradients of the gates' arguments, between the same times either scale: a hidden state's and an input's
        # products are neighbours, so that each is one matrix without a copy.
        moved = x.new_empty(steps, batch, 3 * wide)
        dscale, dscale_in = torch.zeros_like(scale), torch.zeros_like(scale_in)
        doffset = torch.zeros_like(scale) if ctx.offset else None
        back = torch.cat([response, weight])
        dh, dc = grad_hidden + grad_out[-1], grad_cell.clone()
        for t in range(steps - 1, -1, -1):
            left, d, right = moved[t].chunk(3, 1)
            gate_gradients(gates[t], squashed[t], cells[t], (dh, dc), d)
            torch.mul(d, scale, out=left)
            torch.mul(d, scale_in, out=right)
            dscale.addcmul_(d, answers[t])
            dscale_in.addcmul_(d, z[t])
            if doffset is not None:
                doffset.add_(d)
            both = moved[t, :, : 2 * wide]
            dh = torch.mm(both, back) if t == 0 else torch.addmm(grad_out[t - 1], both, back)
        rows = moved.flatten(0, 1)
        pulled, pushed = rows[:, : 2 * wide], rows[:, wide:]
        dx = (pushed @ torch.cat([weight_in, response_in])).view(x.shape) if ctx.needs_input_grad[0] else None
        dweight_in, dresponse_in = _products(pushed, x.flatten(0, 1), ctx.needs_input_grad[3:5])
        dresponse, dweight = _products(pulled, hiddens[:-1].flatten(0, 1), ctx.needs_input_grad[7:5:-1])
        return dx, dh, dc, dweight_in, dresponse_in, dscale_in, dweight, dresponse, dscale, doffset


def _products(rows: Tensor, v: Tensor, needed: tuple[bool, ...]) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of two neighbouring matrices from those of their products with v; only those needed."""
    if all(needed):
        first, second = (rows.t() @ v).chunk(2)
        return first, second
    first, second = rows.chunk(2, 1)
    return first.t() @ v if needed[0] else None, second.t() @ v if needed[1] else None


def open_gates(a: Tensor, before: Tensor, c: Tensor, tanh_c: Tensor, hidden: Tensor) -> None:
    """From the gates' arguments `a` (B, 4H), opened in place, and the last c: c, its tanh and the hidden state."""
    size = before.shape[1]
    a[:, : 2 * size].sigmoid_()
    a[:, 2 * size : 3 * size].tanh_()
    a[:, 3 * size :].sigmoid_()
    i, f, g, o = a.chunk(4, 1)
    torch.mul(f, before, out=c)
    c.addcmul_(i, g)
    torch.tanh(c, out=tanh_c)
    torch.mul(o, tanh_c, out=hidden)


def _turned(weight: Tensor, response: Tensor) -> Tensor:
    """(size of v, 8H), row by row in memory: a product with it takes 0.7 of the time that W's own way takes."""
    return torch.cat([weight.t(), response.t()], 1).contiguous()


def gate_gradients(a: Tensor, tanh_c: Tensor, before: Tensor, grads: tuple[Tensor, Tensor], out: Tensor) -> None:
    """Gradients of the gates' arguments into `out` (B, 4H) from those of h and c; c's moves a step back, in place."""
    dh, dc = grads
    i, f, g, o = a.chunk(4, 1)
    di, df, dg, do = out.chunk(4, 1)
    dc.addcmul_(dh, o * (1 - tanh_c * tanh_c))
    torch.mul(dh, tanh_c, out=do).mul_(o - o * o)
    torch.mul(dc, g, out=di).mul_(i - i * i)
    torch.mul(dc, before, out=df).mul_(f - f * f)
    torch.mul(dc, i, out=dg).mul_(1 - g * g)
    dc.mul_(f)


def recur_tangent(
    pre: tuple[Tensor, Tensor],
    state: tuple[Tensor, Tensor],
    weight: Tensor,
    answer: Callable[[Tensor], Tensor] | None,
) -> tuple[Steps, Steps]:
    """The recurrence at h = 0 and its tangent: gates_t = pre_t + W v, their tangent + W v̇ + answer(v).

    `answer` is the response of the product with v in first order, None where it has none. `pre` is a primal and a
    tangent (T, B, 4H); the given state does not move. Plain autograd operations throughout.
    """
    (h, c), dh, dc = state, torch.zeros_like(state[0]), torch.zeros_like(state[1])
    outs, douts = [], []
    for a, da in zip(pre[0].unbind(0), pre[1].unbind(0), strict=True):
        a = a + torch.nn.functional.linear(h, weight)
        da = da + torch.nn.functional.linear(dh, weight)
        da = da if answer is None else da + answer(h)
        (i, f, g, o), (di, df, dg, do) = a.chunk(4, -1), da.chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        di, df, dg, do = di * (i - i * i), df * (f - f * f), dg * (1 - g * g), do * (o - o * o)
        c, dc = f * c + i * g, df * c + f * dc + di * g + i * dg
        tanh_c = c.tanh()
        h, dh = o * tanh_c, do * tanh_c + o * (1 - tanh_c * tanh_c) * dc
        outs.append(h)
        douts.append(dh)
    return (torch.stack(outs), h, c), (torch.stack(douts), dh, dc)
