"""The recurrence of an LSTM layer whose hidden-to-hidden weights respond example by example, and its backward by hand.

T time, B batch, H hidden units; gates in torch's order i, f, g, o. `pre` (T, B, 4H) holds everything in the gates
that does not depend on the hidden state. Autograd over a loop would keep a graph of a dozen nodes a step and
accumulate the weights' gradient T times; here one product over all steps gives it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Steps = tuple[Tensor, Tensor, Tensor]
"""Outputs (T, B, H), last hidden state (B, H), last cell state (B, H)."""


def recur(pre: Tensor, state: tuple[Tensor, Tensor], weight: Tensor, response: Tensor, scale: Tensor) -> Steps:
    """gates_t = pre_t + W h_{t-1} + s ⊙ (R h_{t-1}), then the LSTM cell; in pre's dtype.

    state ((B, H), (B, H)), weight and response (4H, H), scale (B, 4H). Differentiable once in all of them.
    """
    hidden, cell = (x.to(pre.dtype) for x in state)
    with torch.autocast(pre.device.type, enabled=False):
        out: Steps = _Recurrence.apply(
            pre, hidden, cell, weight.to(pre.dtype), response.to(pre.dtype), scale.to(pre.dtype)
        )
    return out


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pre: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, response: Tensor, scale: Tensor
    ) -> Steps:
        steps, batch, wide = pre.shape
        size = wide // 4
        both = torch.cat([weight, response])  # (8H, H): elementary and response products in one GEMM a step
        keep = any(ctx.needs_input_grad)
        gates = torch.empty_like(pre) if keep else pre.new_empty(1, batch, wide)
        product = pre.new_empty(steps if keep else 1, batch, 2 * wide)
        hiddens, cells = pre.new_empty(steps + 1, batch, size), pre.new_empty(steps + 1, batch, size)
        squashed = pre.new_empty(steps if keep else 1, batch, size)
        hiddens[0], cells[0] = hidden, cell
        turned = both.t()
        for t in range(steps):
            k = t if keep else 0
            p, a, tanh_c, c = product[k], gates[k], squashed[k], cells[t + 1]
            torch.mm(hiddens[t], turned, out=p)
            torch.add(pre[t], p[:, :wide], out=a)
            a.addcmul_(scale, p[:, wide:])
            a[:, : 2 * size].sigmoid_()
            a[:, 2 * size : 3 * size].tanh_()
            a[:, 3 * size :].sigmoid_()
            i, f, g, o = a.chunk(4, 1)
            torch.mul(f, cells[t], out=c)
            c.addcmul_(i, g)
            torch.tanh(c, out=tanh_c)
            torch.mul(o, tanh_c, out=hiddens[t + 1])
        if keep:
            ctx.save_for_backward(both, scale, gates, product, hiddens, cells, squashed)
        return hiddens[1:], hiddens[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_hidden: Tensor, grad_cell: Tensor) -> tuple[Tensor | None, ...]:
        both, scale, gates, product, hiddens, cells, squashed = ctx.saved_tensors
        steps, batch, wide = gates.shape
        size = wide // 4
        moved = gates.new_empty(steps, batch, 2 * wide)  # gradients of the gates, and the same times s
        dscale = torch.zeros_like(scale)
        dh, dc = grad_hidden + grad_out[-1], grad_cell.clone()
        for t in range(steps - 1, -1, -1):
            i, f, g, o = gates[t].chunk(4, 1)
            d = moved[t, :, :wide]
            di, df, dg, do = d.chunk(4, 1)
            tanh_c = squashed[t]
            dc.addcmul_(dh, o * (1 - tanh_c * tanh_c))
            torch.mul(dh, tanh_c, out=do).mul_(o - o * o)
            torch.mul(dc, g, out=di).mul_(i - i * i)
            torch.mul(dc, cells[t], out=df).mul_(f - f * f)
            torch.mul(dc, i, out=dg).mul_(1 - g * g)
            dc.mul_(f)
            torch.mul(d, scale, out=moved[t, :, wide:])
            dscale.addcmul_(d, product[t, :, wide:])
            dh = torch.mm(moved[t], both) if t == 0 else torch.addmm(grad_out[t - 1], moved[t], both)
        dboth = None
        if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
            dboth = moved.view(-1, 2 * wide).t() @ hiddens[:-1].reshape(-1, size)  # one GEMM over all steps
        dweight, dresponse = (None, None) if dboth is None else dboth.split(wide)
        return moved[:, :, :wide], dh, dc, dweight, dresponse, dscale


def recur_tangent(
    pre: tuple[Tensor, Tensor], state: tuple[Tensor, Tensor], weight: Tensor, response: Tensor, scale: Tensor
) -> tuple[Steps, Steps]:
    """The recurrence at s = 0 and its tangent in direction s: gates_t = pre_t + W h, their tangent + W ḣ + s ⊙ (R h).

    `pre` is a primal and a tangent (T, B, 4H); the given state does not move. Plain autograd operations throughout.
    """
    (h, c), dh, dc = state, torch.zeros_like(state[0]), torch.zeros_like(state[1])
    outs, douts = [], []
    for a, da in zip(pre[0].unbind(0), pre[1].unbind(0), strict=True):
        a = a + torch.nn.functional.linear(h, weight)
        da = da + torch.nn.functional.linear(dh, weight)
        da = torch.addcmul(da, scale, torch.nn.functional.linear(h, response))
        (i, f, g, o), (di, df, dg, do) = a.chunk(4, -1), da.chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        di, df, dg, do = di * (i - i * i), df * (f - f * f), dg * (1 - g * g), do * (o - o * o)
        c, dc = f * c + i * g, df * c + f * dc + di * g + i * dg
        tanh_c = c.tanh()
        h, dh = o * tanh_c, do * tanh_c + o * (1 - tanh_c * tanh_c) * dc
        outs.append(h)
        douts.append(dh)
    return (torch.stack(outs), h, c), (torch.stack(douts), dh, dc)
