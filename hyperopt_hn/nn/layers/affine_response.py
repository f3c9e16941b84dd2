"""The affine response that layers share: W(λ) = W + diag(V h) R, b(λ) = b + (C h) ⊙ b_R.

Source: MacKay et al. 2019, sec. 3.2.
h is the response input, (n,) or (B, n); V and C are a layer's `response_scale` and `response_shift`, (out, n);
R and b_R its `response_weight` and `response_bias`. B batch, n tuned hyperparameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from hyperopt_hn.errors import RowsError, UserError
from hyperopt_hn.nn.context import Home, Scope

Gain = Literal["delta", "stn"]
STN_GAIN_SD = 0.01
"""Standard deviation of V and C in the published STN code; Δ-STN starts them at zero."""


class Responding(Protocol):
    """A layer whose weights can be had at one h (n,), by the names of torch's layer."""

    def weights(self, h: Tensor) -> dict[str, Tensor]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


LAST = torch.channels_last
Op = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]
"""A layer's product: (input, weight, bias) -> output."""


def new_parameter(shape: tuple[int, ...], like: Tensor) -> nn.Parameter:
    """An uninitialised parameter with the device and dtype of `like`."""
    return nn.Parameter(torch.empty(shape, device=like.device, dtype=like.dtype))


def reset_gain(parameter: Tensor, gain: Gain) -> None:
    """Zero ("delta") or N(0, 0.01²) ("stn"), in place."""
    if gain == "delta":
        nn.init.zeros_(parameter)
    elif gain == "stn":
        nn.init.normal_(parameter, 0.0, STN_GAIN_SD)
    else:
        raise UserError(f"gain={gain!r} is unknown; take 'delta' (zero) or 'stn' (N(0, 0.01²))")


def reset_uniform(parameter: Tensor, fan_in: int) -> None:
    """U(±1/sqrt(fan_in)), in place: how torch starts weights and biases of linear and convolution layers."""
    bound = 1.0 / math.sqrt(fan_in) if fan_in > 0 else 0.0
    nn.init.uniform_(parameter, -bound, bound)


def product(h: Tensor, matrix: Tensor) -> Tensor:
    """V h in λ's own precision, autocast or not: (n,) or (B, n) times (out, n) -> (out,) or (B, out)."""
    matrix = matrix.to(h.dtype)
    if torch.is_autocast_enabled(h.device.type):
        with torch.autocast(h.device.type, enabled=False):
            return F.linear(h, matrix)
    return F.linear(h, matrix)


def merged(weight: Tensor, scale: Tensor, response: Tensor) -> Tensor:
    """W + s R, in W's precision: the weights that a batch with one λ shares. `scale` broadcasts against W."""
    return torch.addcmul(weight, scale.to(weight.dtype), response)


def align(rows: Tensor, size: int, home: Home) -> Tensor:
    """Rows (B, ...), one per example, to (size, ...), one per row of the input; see `bind` for flattened inputs."""
    count = rows.shape[0]
    if home.alone:
        return rows.mean(0, keepdim=True).expand(size, *rows.shape[1:])
    if count == size:
        return rows
    if size % count or home.batch_dim is None:
        hint = (
            "; if examples are flattened into it, say so with set_batch_dim(model, 0 or 1)" if size % count == 0 else ""
        )
        raise RowsError(f"λ has {count} rows and a layer's input {size}{hint}")
    if home.batch_dim == 0:
        return rows.repeat_interleave(size // count, 0)
    return rows.repeat(size // count, *([1] * (rows.dim() - 1)))


def batch_axis(lead: Sequence[int], count: int, home: Home) -> int:
    """Which of the leading dimensions of an input is the batch, where λ has `count` rows.

    RowsError where two are as long, and nobody has said or measured which it is, and where there is none.
    """
    if not lead:
        raise RowsError("one λ per example needs an input with a batch dimension; give λ as (n,) for a single example")
    if len(lead) == 1 or home.alone:
        return 0
    if home.batch_dim is None and lead[0] == lead[1] == count > 1:
        raise RowsError(
            f"λ has {count} rows, and so have dimensions 0 and 1 of a layer's input; say which is the batch with "
            "set_batch_dim(model, 0 or 1)"
        )
    return home.batch_dim or 0


def per_feature(rows: Tensor, y: Tensor, home: Home) -> Tensor:
    """Rows (B, F) shaped to broadcast against y (..., F), in y's dtype."""
    axis = batch_axis(y.shape[:-1], rows.shape[0], home)
    shape = [1] * y.dim()
    shape[axis], shape[-1] = y.shape[axis], rows.shape[-1]
    return align(rows, y.shape[axis], home).to(y.dtype).reshape(shape)


def per_channel(rows: Tensor, y: Tensor, home: Home) -> Tensor:
    """Rows (B, C) shaped to broadcast against y (B, C, ...), in y's dtype."""
    rows = align(rows, y.shape[0], home).to(y.dtype).reshape(y.shape[0], rows.shape[-1], *([1] * (y.dim() - 2)))
    return widened(rows, y)


def widened(rows: Tensor, y: Tensor) -> Tensor:
    """(B, C, 1, 1) as (B, C, 1, W) where y (B, C, H, W) is a CPU's channels-last; elsewhere unchanged.

    There the vector loops run along W and C together instead of along C alone, which is short: measured with 10
    channels of 32 x 32 in bfloat16, the response forward and backward takes 7 ms instead of 20.
    """
    if y.dim() != 4 or y.device.type != "cpu" or y.is_contiguous() or not y.is_contiguous(memory_format=LAST):
        return rows
    return rows.expand(-1, -1, 1, y.shape[3]).contiguous(memory_format=LAST)


def parts(x: Tensor, scope: Scope) -> tuple[Tensor, Tensor | None]:
    """An activation and its tangent (None: zero, or not in a linearised pass)."""
    if not scope.tangent:
        return x, None
    dual = forward_ad.unpack_dual(x)
    return dual.primal, dual.tangent


def joined(primal: Tensor, tangent: Tensor | None) -> Tensor:
    """The inverse of `parts`."""
    return primal if tangent is None else forward_ad.make_dual(primal, tangent)


def plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """a + b where None is zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def lift_features(rows: Tensor, y: Tensor, home: Home) -> Tensor:
    """(F,) or (B, F) to what broadcasts against y (..., F)."""
    return rows.to(y.dtype) if rows.dim() == 1 else per_feature(rows, y, home)


def lift_channels(rows: Tensor, y: Tensor, home: Home) -> Tensor:
    """(C,) or (B, C) to what broadcasts against y (B, C, ...)."""
    if rows.dim() == 1:
        return rows.to(y.dtype).reshape(1, -1, *([1] * (y.dim() - 2)))
    return per_channel(rows, y, home)


def lift_time(rows: Tensor, y: Tensor, home: Home) -> Tensor:
    """(F,) or (B, F) to what broadcasts against y (T, B, F), time first."""
    return rows.to(y.dtype) if rows.dim() == 1 else align(rows, y.shape[1], home).to(y.dtype)


def with_tangent(op: Op, x: Tensor, own: tuple[Tensor, Tensor | None], scope: Scope) -> Tensor:
    """op(x, W, b), and in a linearised pass its tangent op(ẋ, W) for an x that moves."""
    primal, tangent = parts(x, scope)
    return joined(op(primal, *own), None if tangent is None else op(tangent, own[0], None))


@dataclass(frozen=True)
class Rows:
    """A layer's response at one h: `scale` V h, `offset` (C h) ⊙ b_R, (out,) or (B, out), and their `lift`."""

    scale: Tensor
    offset: Tensor | None
    lift: Callable[[Tensor, Tensor, Home], Tensor]
    home: Home
    scope: Scope


def respond(op: Op, x: Tensor, own: tuple[Tensor, Tensor | None], response: Tensor, rows: Rows) -> Tensor:
    """op(x, W, b) + s ⊙ op(x, R) + offset, example by example; in a linearised pass its tangent, R applied once."""
    scope = rows.scope
    primal, tangent = parts(x, scope)
    y = op(primal, *own)
    z = op(primal, response, None)
    s = rows.lift(rows.scale, z, rows.home)
    offset = None if rows.offset is None else rows.lift(rows.offset, z, rows.home)
    if not scope.tangent:
        out = torch.addcmul(y, s, z)
        return out if offset is None else out.add_(offset)
    moved = s * z if offset is None else torch.addcmul(offset, s, z)
    return joined(y, moved if tangent is None else moved + op(tangent, own[0], None))


def weights_at(layer: Responding, scope: Scope) -> dict[str, Tensor]:
    """The weights at the one h of a scope, made anew each time: `p.data.copy_` leaves no sign that would date them."""
    assert scope.h is not None
    return layer.weights(scope.h)


def merged_once(layer: Responding, scope: Scope) -> dict[str, Tensor] | None:
    """The weights at the one λ of a batch where no gradient is wanted; None otherwise."""
    if scope.h is None or scope.h.dim() == 2 or scope.tangent or torch.is_grad_enabled():
        return None
    return weights_at(layer, scope)


def adopt(layer: nn.Module, plain: nn.Module) -> None:
    """Fill a layer built on the meta device: elementary parameters and buffers are `plain`'s own objects, by name.

    Response parameters are allocated beside them and left uninitialised.
    """
    like = next(plain.parameters())
    for name, parameter in list(layer.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        mine = leaf.startswith("response_")
        filled = new_parameter(tuple(parameter.shape), like) if mine else plain.get_parameter(name)
        setattr(layer.get_submodule(owner), leaf, filled)
    for name, _ in list(layer.named_buffers()):
        layer.register_buffer(name, plain.get_buffer(name))
    layer.train(plain.training)
