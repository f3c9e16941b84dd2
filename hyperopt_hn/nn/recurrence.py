"""The recurrence of an LSTM layer whose hidden-to-hidden weights respond example by example, and its backward by hand.

T time, B batch, H hidden units; gates in torch's order i, f, g, o. Autograd over a loop would keep a graph of a dozen
nodes a step and accumulate the weights' gradient T times; here one product over all steps gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Steps = tuple[Tensor, Tensor, Tensor]
"""Outputs (T, B, H), last hidden state (B, H), last cell state (B, H)."""


@dataclass(frozen=True)
class Push:
    """What the gates take from a layer's input: `own` (T, B, 4H) + `scale` ⊙ `response` (T, B, 4H) + `shift` (B, 4H).

    With one λ for all, only `own` is there.
    """

    own: Tensor
    response: Tensor | None = None
    scale: Tensor | None = None
    shift: Tensor | None = None


@dataclass(frozen=True)
class Pull:
    """What they take from the hidden state: W h + `scale` ⊙ (R h); weights (4H, H), scale (B, 4H). One λ: W alone."""

    weight: Tensor
    response: Tensor | None = None
    scale: Tensor | None = None


def recur(push: Push, state: tuple[Tensor, Tensor], pull: Pull) -> Steps:
    """The LSTM cell over time from state ((B, H), (B, H)), in the input's dtype; differentiable once in everything."""
    given = (push.own, push.response, push.scale, push.shift, *state, pull.weight, pull.response, pull.scale)
    same = [None if x is None else x.to(push.own.dtype) for x in given]
    with torch.autocast(push.own.device.type, enabled=False):
        out: Steps = _Recurrence.apply(*same)
    return out


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Tensor | None) -> Steps:
        own, z, scale_in, shift, hidden, cell, weight, response, scale = given
        assert own is not None and weight is not None and hidden is not None and cell is not None
        steps, batch, wide = own.shape
        size = wide // 4
        keep = any(ctx.needs_input_grad)
        count = steps if keep else 1
        gates, squashed = own.new_empty(count, batch, wide), own.new_empty(count, batch, size)
        turned = weight.t() if response is None else torch.cat([weight.t(), response.t()], 1)
        turned = (
            turned.contiguous()
        )  # (H, 4H or 8H), both products in one GEMM a step, 1.3 times faster so than W's own way
        product = own.new_empty(count, batch, turned.shape[1])
        hiddens, cells = own.new_empty(steps + 1, batch, size), own.new_empty(steps + 1, batch, size)
        hiddens[0], cells[0] = hidden, cell
        for t in range(steps):
            k = t if keep else 0
            p, a, tanh_c, c = product[k], gates[k], squashed[k], cells[t + 1]
            torch.mm(hiddens[t], turned, out=p)
            torch.add(own[t], p[:, :wide], out=a)
            if scale is not None:
                a.addcmul_(scale, p[:, wide:])
            if z is not None and scale_in is not None:
                a.addcmul_(scale_in, z[t])
            if shift is not None:
                a.add_(shift)
            a[:, : 2 * size].sigmoid_()
            a[:, 2 * size : 3 * size].tanh_()
            a[:, 3 * size :].sigmoid_()
            i, f, g, o = a.chunk(4, 1)
            torch.mul(f, cells[t], out=c)
            c.addcmul_(i, g)
            torch.tanh(c, out=tanh_c)
            torch.mul(o, tanh_c, out=hiddens[t + 1])
        if keep:
            ctx.save_for_backward(z, scale_in, shift, weight, response, scale, gates, product, hiddens, cells, squashed)
        return hiddens[1:], hiddens[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_hidden: Tensor, grad_cell: Tensor) -> tuple[Tensor | None, ...]:
        z, scale_in, shift, weight, response, scale, gates, product, hiddens, cells, squashed = ctx.saved_tensors
        steps, batch, wide = gates.shape
        size = wide // 4
        both = weight if response is None else torch.cat([weight, response])  # (8H, H)
        moved = gates.new_empty(steps, batch, both.shape[0])  # gradients of the gates, and the same times s
        dz = torch.empty_like(z) if ctx.needs_input_grad[1] else None
        dscale_in, dscale, dshift = (None if x is None else torch.zeros_like(x) for x in (scale_in, scale, shift))
        dh, dc = grad_hidden + grad_out[-1], grad_cell.clone()
        for t in range(steps - 1, -1, -1):
            d = moved[t, :, :wide]
            _gate_gradients(gates[t], squashed[t], cells[t], (dh, dc), d)
            if scale is not None and dscale is not None:
                torch.mul(d, scale, out=moved[t, :, wide:])
                dscale.addcmul_(d, product[t, :, wide:])
            if z is not None and dscale_in is not None:
                dscale_in.addcmul_(d, z[t])
            if dz is not None:
                torch.mul(d, scale_in, out=dz[t])
            if dshift is not None:
                dshift.add_(d)
            dh = torch.mm(moved[t], both) if t == 0 else torch.addmm(grad_out[t - 1], moved[t], both)
        dweight = dresponse = None
        if ctx.needs_input_grad[6] or ctx.needs_input_grad[7]:  # one GEMM over all steps
            dboth = moved.view(-1, both.shape[0]).t() @ hiddens[:-1].reshape(-1, size)
            dweight, dresponse = dboth[:wide], None if response is None else dboth[wide:]
        return moved[:, :, :wide], dz, dscale_in, dshift, dh, dc, dweight, dresponse, dscale


def _gate_gradients(a: Tensor, tanh_c: Tensor, before: Tensor, grads: tuple[Tensor, Tensor], out: Tensor) -> None:
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


def recur_tangent(pre: tuple[Tensor, Tensor], state: tuple[Tensor, Tensor], pull: Pull) -> tuple[Steps, Steps]:
    """The recurrence at s = 0 and its tangent in direction s: gates_t = pre_t + W h, their tangent + W ḣ + s ⊙ (R h).

    `pre` is a primal and a tangent (T, B, 4H); the given state does not move. Plain autograd operations throughout.
    """
    weight, response, scale = pull.weight, pull.response, pull.scale
    assert response is not None and scale is not None
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
