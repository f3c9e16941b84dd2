"""How each of torch's functions answers where it reads a responding parameter; see `reading`.

B batch, F units; rows of a response are (F,), or (B, F). Whatever is not served here raises Escape.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperopt_hn.nn.context import Home
from hyperopt_hn.nn.layers.affine_response import align, lift_channels, lift_features, parts
from hyperopt_hn.nn.layers.by_parameter.made_weights import standardised, standardises
from hyperopt_hn.nn.layers.by_parameter.reading import Escape, Reading, Use, handles

Lift = Callable[[Tensor, Tensor, Home], Tensor]
_ORDER: dict[str, tuple[str, ...]] = {
    "linear": ("input", "weight", "bias"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "instance_norm": ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
}


def _named(name: str, args: Any, kwargs: Any) -> dict[str, Any]:
    names = _ORDER[name]
    if len(args) > len(names):
        raise Escape(name)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _scaled(use: Use, y: Tensor, lift: Lift) -> Tensor:
    """(1 + S h) ⊙ y, example by example."""
    return use.bump(y, lambda primal: primal * lift(use.rows, primal, use.home))


def _shifted(use: Use | None, y: Tensor, lift: Lift) -> Tensor:
    """y + T h, example by example."""
    if use is None:
        return y
    rows = use.entries()
    return use.bump(y, lambda primal: lift(rows, primal, use.home).expand_as(primal))


@handles("linear")
def _linear(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    given = _named("linear", args, kwargs)
    x, w, b = given["input"], given["weight"], given.get("bias")
    return _product(mode, (x, w, b), lambda x, b: F.linear(x, w, b), (0, 1))


def _product(mode: Reading, own: tuple[Tensor, Any, Any], op: Any, axes: tuple[int, int]) -> Tensor:
    """op(x, b), whose weight has its outputs and inputs along these axes; units last."""
    x, w, b = own
    weight, offset = mode.use(w), mode.use(b)
    if mode.use(x) is not None or (weight is not None and weight.axis is None):
        raise Escape("a product of parameters")
    if weight is not None and weight.axis == axes[1]:
        x, weight = _scaled(weight, x, lift_features), None
    if weight is None:
        return _shifted(offset, op(x, b), lift_features)
    if weight.axis != axes[0]:
        raise Escape("another axis")
    y = _scaled(weight, op(x, None), lift_features)
    return _shifted(offset, y if b is None else y + b, lift_features)


@handles("addmm")
def _addmm(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    if kwargs or len(args) != 3:
        raise Escape("addmm")
    b, x, w = args
    return _product(mode, (x, w, b), lambda x, b: x @ w if b is None else func(b, x, w), (1, 0))


@handles("matmul", "mm", "__matmul__")
def _matmul(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    if kwargs or len(args) != 2 or args[1].dim() != 2:
        raise Escape("matmul")
    x, w = args
    return _product(mode, (x, w, None), lambda x, _: func(x, w), (1, 0))


@handles("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    given = dict(zip(("input", "weight", "bias"), args[:3], strict=False))
    x, w = given["input"], given.get("weight", kwargs.get("weight"))
    b = given.get("bias", kwargs.get("bias"))
    rest = {k: v for k, v in kwargs.items() if k not in ("weight", "bias")}
    weight, offset = mode.use(w), mode.use(b)
    turned = "transpose" in func.__name__
    if mode.use(x) is not None or x.dim() != w.dim() or (weight is not None and weight.axis != 0):
        raise Escape(func.__name__)
    if weight is not None and turned:
        x = _scaled(weight, x, lift_channels)
    if weight is None or turned:
        return _shifted(offset, func(x, w, b, *args[3:], **rest), lift_channels)
    y = _scaled(weight, func(x, w, None, *args[3:], **rest), lift_channels)
    if b is not None:
        y = y + b.to(y.dtype).view(-1, *([1] * (y.dim() - 2)))
    return _shifted(offset, y, lift_channels)


@handles("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm")
def _norm(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    given = _named(func.__name__, args, kwargs)
    x, w, b = given["input"], given.get("weight"), given.get("bias")
    if standardises(mode, func, given):
        return standardised(mode, func, given)
    last = "normalized_shape" in given
    if mode.use(x) is not None or (last and len(given["normalized_shape"]) != 1):
        raise Escape(func.__name__)
    lift = lift_features if last or x.dim() == 2 else lift_channels
    xhat = func(**{k: None if k in ("weight", "bias") else v for k, v in given.items()})
    shape = (-1,) if lift is lift_features else (-1, *([1] * (x.dim() - 2)))
    y = xhat if w is None else xhat * w.reshape(shape)
    y = y if b is None else y + b.reshape(shape)
    weight = mode.use(w)
    if weight is not None:
        rows, still = weight.entries(), parts(xhat, weight.scope)[0]
        y = weight.bump(y, lambda _: still * lift(rows, still, weight.home))
    y = y.to(x.dtype) if y.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type) else y
    return _shifted(mode.use(b), y, lift)


@handles("prelu")
def _prelu(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    x, w = args
    use = mode.use(w)
    if use is None or mode.use(x) is not None:
        raise Escape("prelu")
    rows, lift = use.entries(), lift_features if w.numel() == 1 or x.dim() == 2 else lift_channels
    below = parts(x, use.scope)[0].clamp(max=0)
    return use.bump(func(x, w), lambda _: below * lift(rows, below, use.home))


@handles("embedding", "embedding_bag")
def _table(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    bound = inspect.signature(getattr(F, func.__name__)).bind(*args, **kwargs).arguments
    table = mode.use(bound["weight"])
    if table is None or table.axis != 1 or bound.get("max_norm") is not None:
        raise Escape(func.__name__)
    return _scaled(table, func(*args, **kwargs), lift_features)


@handles("einsum")
def _einsum(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    """Of one activation and one parameter: scaled where the letter of its axis is in the one, or in the outcome."""
    equation, *operands = args
    operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    place = next((i for i, x in enumerate(operands) if mode.use(x) is not None), 0)
    use = mode.use(operands[place])
    if kwargs or len(operands) != 2 or not arrow or "." in equation or mode.use(operands[1 - place]) is not None:
        raise Escape("einsum")
    if use is None or use.axis is None:
        raise Escape("einsum")
    letter, other = terms[place][use.axis], terms[1 - place]
    batch = other[use.home.batch_dim or 0]
    if batch in terms[place] or letter == batch:
        raise Escape("einsum")
    if letter in other:
        operands[1 - place] = _scaled(use, operands[1 - place], _along(other, batch, letter))
        return func(equation, *operands)
    if letter not in out or batch not in out:
        raise Escape("einsum")
    return _scaled(use, func(equation, *operands), _along(out, batch, letter))


def _along(letters: str, batch: str, units: str) -> Lift:
    """Rows (F,) or (B, F) to what broadcasts against a tensor whose axes have these letters."""

    def lift(rows: Tensor, y: Tensor, home: Home) -> Tensor:
        shape = [1] * len(letters)
        shape[letters.index(units)] = rows.shape[-1]
        if rows.dim() == 1:
            return rows.to(y.dtype).reshape(shape)
        place = letters.index(batch)
        shape[place] = y.shape[place]
        if letters.index(units) < place:
            raise Escape("einsum")
        return align(rows, y.shape[place], home).to(y.dtype).reshape(shape)

    return lift
