"""Sums and products of a responding parameter with an activation, and what is made of a parameter before it is read.

A view or a cast of a parameter is followed (`chain`), so that `x * self.weight.view(1, -1, 1, 1)` and
`x + self.position[:, : x.shape[1]]` answer for each example. B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from hyperopt_hn.nn.layers.affine_response import align, batch_axis, parts
from hyperopt_hn.nn.layers.by_parameter.questions import called
from hyperopt_hn.nn.layers.by_parameter.reading import Escape, Reading, Use, handles

_SUMS = ("add", "__add__", "__radd__", "__iadd__")
_DIFFERENCES = ("sub", "__sub__", "__rsub__", "__isub__", "rsub")
_PRODUCTS = ("mul", "__mul__", "__rmul__", "__imul__", "multiply")


@handles(*_SUMS, *_DIFFERENCES, *_PRODUCTS)
def _entrywise(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    name = called(func)
    if kwargs or len(args) != 2:
        raise Escape(name)
    uses = [mode.use(x) for x in args]
    if None not in uses:
        raise Escape(name)
    place = 0 if uses[0] is not None else 1
    use, other, own = uses[place], args[1 - place], args[place]
    assert use is not None
    if not isinstance(other, Tensor) or other.dim() == 0:
        return _followed(mode, func, args, place)
    if name.startswith("__i") and place == 0:
        raise Escape(name)
    primal, _ = parts(other, use.scope)
    change = _aligned(use, own, primal)
    if name in _PRODUCTS:
        moved = primal * change
    elif name in _SUMS or place == (1 if name in ("__rsub__", "rsub") else 0):
        moved = change
    else:
        moved = -change
    return use.bump(func(*args), moved.expand_as)


def _aligned(use: Use, own: Tensor, x: Tensor) -> Tensor:
    """p(λ) - p, example by example, as it broadcasts against an activation x (..., B, ...)."""
    change = use.change()
    pad = x.dim() - own.dim()
    assert use.scope.h is not None
    if pad < 0:
        raise Escape("a parameter of more dimensions than the activation")
    if use.scope.h.dim() == 1:
        return change.to(x.dtype)
    rows = change.reshape(change.shape[0], *([1] * pad), *own.shape)
    axis = batch_axis(x.shape[:-1] or x.shape, rows.shape[0], use.home)
    if rows.shape[1 + axis] != 1:
        raise Escape("a parameter with entries along the batch")
    return align(rows.squeeze(1 + axis), x.shape[axis], use.home).movedim(0, axis).to(x.dtype)


_VIEWS = (
    "view", "reshape", "unsqueeze", "squeeze", "flatten", "__getitem__", "t", "T", "mT", "transpose", "permute",
    "contiguous", "movedim", "unflatten",
)  # fmt: skip
_CASTS = ("to", "float", "double", "half", "bfloat16", "type_as", "clone")


@handles(*_VIEWS)
def _view(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    use = mode.use(args[0])
    if use is None or any(isinstance(x, Tensor) for x in args[1:]):
        raise Escape(called(func))
    out = func(*args, **kwargs)
    if out is args[0]:
        return out
    axis = _axis(use, args[0], out, called(func))
    return mode.derive(out, use.then(lambda p: func(p, *args[1:], **kwargs), axis))


@handles(*_CASTS)
def _cast(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    use = mode.use(args[0])
    if use is None:
        raise Escape(called(func))
    out = func(*args, **kwargs)
    return out if out is args[0] else mode.derive(out, use.then(lambda p: func(p, *args[1:], **kwargs), use.axis))


@handles("reshape_as", "view_as")
def _shaped(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    use, (own, like) = mode.use(args[0]), args
    if use is None or kwargs:
        raise Escape(called(func))
    out, shape = func(own, like), like.shape
    return mode.derive(out, use.then(lambda p: p.reshape(shape), _axis(use, own, out, called(func))))


@handles("expand", "expand_as", "repeat", "tile")
def _expanded(mode: Reading, func: Any, args: Any, kwargs: Any) -> Any:
    """To the size of a batch, `cls_token.expand(B, -1, -1)`: from here on each example has its own."""
    own = args[0]
    use = mode.use(own)
    if use is None:
        raise Escape(called(func))
    out = func(*args, **kwargs)
    h = use.scope.h
    assert h is not None
    if use.scope.tangent:
        out = out.clone()  # a dual number cannot be written into overlapping memory
    if h.dim() == 1:
        return use.bump(out, lambda _: func(use.change(), *args[1:], **kwargs))
    pad = out.dim() - own.dim()
    shape = (*([1] * pad), *own.shape)
    axis = batch_axis(out.shape[:-1] or out.shape, h.shape[0], use.home)
    if (
        out.shape[axis] % h.shape[0]
        or shape[axis] != 1
        or any(a not in (1, b) for a, b in zip(shape, out.shape, strict=True))
    ):
        return mode.derive(out, use.then(lambda p: func(p, *args[1:], **kwargs), None))
    return use.bump(out, lambda primal: _aligned(use, own, primal).expand_as(primal))


def _followed(mode: Reading, func: Callable[..., Any], args: Any, place: int) -> Any:
    """1 + p, 2 * p: linear in p, so that what moves is scaled alike; a sum leaves it."""
    out = func(*args)
    name, number = called(func), args[1 - place]
    use = mode.use(args[place])
    assert use is not None
    if name in _PRODUCTS:
        return mode.derive(out, use.then(lambda p: p * number, use.axis))
    turned = name in _DIFFERENCES and place == (0 if name in ("__rsub__", "rsub") else 1)
    return mode.derive(out, use.then((lambda p: -p) if turned else (lambda p: p), None))


def _axis(use: Use, before: Tensor, after: Tensor, name: str) -> int | None:
    """Where the axis that is scaled is in a view; None where that is not known."""
    if use.axis is None:
        return None
    if name in ("t", "T", "mT", "transpose") and before.dim() == 2:
        return 1 - use.axis
    if name in ("view", "reshape", "reshape_as", "view_as", "flatten", "squeeze", "contiguous", "unsqueeze"):
        size, ahead = before.shape[use.axis], before.shape[: use.axis].numel()
        places = (i for i, n in enumerate(after.shape) if n == size and after.shape[:i].numel() == ahead)
        return next(places, None)
    if name == "__getitem__" and use.axis == before.dim() - 1 and after.shape[-1:] == before.shape[-1:]:
        return after.dim() - 1
    return None
