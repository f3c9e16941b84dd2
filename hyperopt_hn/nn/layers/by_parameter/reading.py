"""torch's functions that read a responding parameter answer for each example's λ.

A mode of torch sees every function called inside `at`. One that reads such a parameter in a way known here (products,
convolutions, normalisations, tables, sums and products entry by entry) is given its response; in any other way the
parameter is used as it is, which is noted (`escapes`), so that it can be made plain: nothing responds by halves.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint

from hyperopt_hn.config import described
from hyperopt_hn.errors import RowsError, UserError
from hyperopt_hn.nn.context import Home, Scope
from hyperopt_hn.nn.layers.affine_response import joined, parts, plus
from hyperopt_hn.nn.layers.by_parameter.movement import Moving
from hyperopt_hn.nn.layers.by_parameter.questions import AS, QUESTIONS, called

UNKNOWN = "no response of its own for every example is known"


class Escape(Exception):
    """A function reads a parameter in a way for which no response is known."""


@described
@dataclass
class Use:
    """A responding parameter in a scope."""

    one: Moving
    """The parameter and its response."""
    scope: Scope
    axis: int | None = None
    """The axis along which what was made of it is scaled, where that is known."""
    chain: tuple[Callable[[Tensor], Tensor], ...] = ()
    """From the parameter to what was made of it: a view, a cast."""
    _rows: list[Tensor] = field(default_factory=list)

    @property
    def home(self) -> Home:
        """Its module's, which may be told during a pass where the batch is."""
        layer: Any = self.one.layer
        home: Home = layer.home
        return home

    @property
    def rows(self) -> Tensor:
        """V h or S h, (rows,) or (B, rows), made once."""
        assert self.scope.h is not None
        if not self._rows:
            with _outside_checkpoints():
                self._rows.append(self.one.rows(self.scope.h))
        return self._rows[0]

    def change(self) -> Tensor:
        """How far what was made of the parameter moves: of its shape, or (B, *shape)."""
        assert self.scope.h is not None
        moved = self.one.change(self.scope.h, self.rows)
        for step in self.chain:
            moved = step(moved) if self.scope.h.dim() == 1 else torch.vmap(step)(moved)
        return moved

    def entries(self) -> Tensor:
        """The same of a vector, as (F,) or (B, F); Escape for what is scaled along an axis."""
        if self.one.axis is not None:
            raise Escape("a matrix where a vector is read")
        assert self.scope.h is not None
        return self.change().flatten(self.scope.h.dim() - 1) if self.chain else self.rows

    def bump(self, y: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """y plus a change that is linear in h: in a linearised pass it joins y's tangent."""
        primal, tangent = parts(y, self.scope)
        moved = change(primal)
        return joined(primal, plus(tangent, moved)) if self.scope.tangent else primal + moved

    def then(self, step: Callable[[Tensor], Tensor], axis: int | None) -> Use:
        """What one more step makes of it."""
        return Use(self.one, self.scope, axis, (*self.chain, step), self._rows)


_here = threading.local()


class Reading(TorchFunctionMode):
    """Inside, these parameters respond where torch's functions read them; the innermost of several counts."""

    def __init__(self, uses: list[Use], layers: Sequence[nn.Module] = ()) -> None:
        """`layers`: whose parameters these are, and whom no level around this one concerns any more."""
        super().__init__()
        self._given, self._layers = list(uses), set(map(id, layers))
        self._uses: dict[int, Use] = {}
        self._kept: list[Tensor] = []

    def __enter__(self) -> Any:
        self._outer: Reading | None = getattr(_here, "reading", None)
        if self._outer is not None:  # of another model, called in here too
            self._given += [use for use in self._outer._given if id(use.one.layer) not in self._layers]
        if self._given or self._outer is not None:
            _here.reading = self
        for use in self._given:
            use.axis = use.one.axis
            self._uses[id(use.one.own)] = use
        return super().__enter__() if self._given else self

    def __exit__(self, *how: Any) -> None:
        _here.reading = self._outer
        self._kept.clear()
        if self._given:
            super().__exit__(*how)

    def use(self, x: Any) -> Use | None:
        """How a tensor responds; None for one that does not."""
        return self._uses.get(id(x)) if isinstance(x, Tensor) else None

    def derive(self, out: Tensor, use: Use) -> Tensor:
        """Note that `out` was made of a parameter."""
        if id(out) not in self._uses:
            self._kept.append(out)
            self._uses[id(out)] = use
        return out

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(_here, "reading", None) is not self:
            return func(*args, **kwargs)
        hit = [use for x in (*args, *kwargs.values()) for use in self._in(x)]
        if not hit or (getattr(_here, "back", False) and not _checkpointed()):
            return func(*args, **kwargs)
        name = called(func)
        if name in QUESTIONS or (name in AS and self.use(args[0]) is None):
            return func(*args, **kwargs)
        handler = _HANDLERS.get(name)
        try:
            if handler is None:
                raise Escape(name)
            return handler(self, func, args, kwargs)
        except (Escape, RowsError) as error:
            if _within_a_module():  # a penalty in a loss sees the parameter itself, as it does a layer's weight
                for use in hit:
                    _note(use.one, name, error)
            return func(*args, **kwargs)

    def _in(self, x: Any) -> Iterator[Use]:
        for leaf in x if isinstance(x, (list, tuple)) else (x,):
            use = self._uses.get(id(leaf))
            if use is not None:
                yield use


Escapes = dict[int, dict[str, Moving]]
"""id of a module -> its parameters that were read in a way without a response, by name."""
Handler = Callable[[Reading, Any, Any, Any], Any]
_HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Register what serves torch's functions of these names."""

    def put(handler: Handler) -> Handler:
        _HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return put


@contextmanager
def escapes() -> Iterator[Escapes]:
    """Inside, id of a module -> its parameters that are read in a way without a response, by name."""
    outer = getattr(_here, "escaped", None)
    found: Escapes = {}
    _here.escaped = found
    try:
        yield found
    finally:
        _here.escaped = outer


@contextmanager
def paused() -> Iterator[None]:
    """Inside, parameters are read as they are."""
    outer = getattr(_here, "reading", None)
    _here.reading = None
    try:
        yield
    finally:
        _here.reading = outer


@contextmanager
def going_back() -> Iterator[None]:
    """Inside, a backward pass is under way: parameters are read as they are, but by what is computed again."""
    _here.back = True
    try:
        yield
    finally:
        _here.back = False


def _frames() -> Iterator[Any]:
    frame: Any = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _within_a_module() -> bool:
    """Whether a module's call is under way."""
    return any(frame.f_code is nn.Module._call_impl.__code__ for frame in _frames())


def _checkpointed() -> bool:
    """Whether torch computes a checkpointed part; in a backward pass: computes it again."""
    return any(frame.f_code.co_filename == checkpoint.__file__ for frame in _frames())


def _outside_checkpoints() -> AbstractContextManager[object]:
    """Inside, tensors are kept as they are: a checkpoint counts what it makes again, and what is made once is not."""
    return torch.autograd.graph.saved_tensors_hooks(*[lambda x: x] * 2) if _checkpointed() else nullcontext()


def carry(one: Moving, name: str) -> None:
    """Note that a parameter's own response is divided out again, another's standing for it: it needs none."""
    found = getattr(_here, "escaped", None)
    if found is None:
        _note(one, name, Escape(name))
    else:
        found.setdefault(id(one.layer), {}).setdefault(one.name, replace(one, carried=True))


def _note(one: Moving, name: str, error: Exception) -> None:
    found = getattr(_here, "escaped", None)
    if found is None and isinstance(error, RowsError):
        raise error
    if found is None:
        raise UserError(
            f"parameter {one.name!r} of a {type(one.layer).__name__} is read by {name!r}, for which {UNKNOWN}; leave "
            "that module out by convert(..., exclude=[...])"
        )
    found.setdefault(id(one.layer), {})[one.name] = one
