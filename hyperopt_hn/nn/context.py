"""Which λ a model sees: `with at(model, lam): model(x)`. No forward signature changes, nothing is left on modules.

Shapes: n tuned hyperparameters, B batch. λ is (n,), one for the whole batch, or (B, n), one per example.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn
from torch.torch_version import TorchVersion

from hyperopt_hn.config import described
from hyperopt_hn.errors import RowsError, UserError
from hyperopt_hn.nn.modules.kept_values import forgetting
from hyperopt_hn.nn.modules.places import innermost
from hyperopt_hn.space import HyperSpace

Fed = Literal["raw", "centred", "other"]
"""What a response was trained on: λ, λ - λ̂, or what the tuner alone can make (positions, natural values)."""
_WANTED: dict[Fed | None, str] = {
    "raw": "λ itself: leave the centre out",
    "centred": "λ - λ̂: give the centre too",
    "other": "what its tuner makes of λ: give that as h=tuner.response.input(tuner.losses, lam)",
}


class Home:
    """What the hyper layers of one model share: its space, and which dimension of an input is the batch."""

    def __init__(self, space: HyperSpace | None, n: int, batch_dim: int | None = None) -> None:
        self.space = space
        self.n = n
        self.batch_dim = batch_dim
        self.report: object = None
        self.responds = True
        """False where a response would be wrong: its layers then answer as plain ones (see `silence`)."""
        self.fed: Fed | None = None
        """What a tuner trained the response on; None before one did."""
        self.alone = False
        """Whether inputs have no batch axis: what is one number an example is then the batch's mean."""


@described
@dataclass(frozen=True)
class Scope:
    """What one model sees inside `at`: λ, the response input h = λ or λ - centre (None: exactly zero), the values."""

    lam: Tensor
    h: Tensor | None
    values: Mapping[str, Any]
    tangent: bool = False
    zero: bool = False
    """Whether h is zero in value, λ being its own centre, and only its gradient is wanted."""


class HyperLayer(Protocol):
    """A module that reads λ from the context: the layers with a response (num_hyper > 0) and the dropouts (0)."""

    home: Home
    num_hyper: int
    training: bool

    def plain(self) -> nn.Module:
        """torch's layer of the same shape, to be filled."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """As nn.Module's, like the rest here."""
        ...

    def get_parameter(self, target: str) -> nn.Parameter: ...

    def get_buffer(self, target: str) -> Tensor: ...


class _Here(threading.local):
    """Per thread; no ContextVar, because torch.compile cannot read one before torch 2.15 (seen with 2.13)."""

    scopes: Mapping[Home, Scope] | None = None


class _Everywhere:
    """The latest of all threads, for code that torch.compile traces before it could read a thread's own (2.11)."""

    scopes: Mapping[Home, Scope] | None = None


_here, _everywhere = _Here(), _Everywhere()
_OLD: bool = TorchVersion(torch.__version__) < TorchVersion("2.13")


def hyper_layers(model: nn.Module) -> Iterator[tuple[str, HyperLayer]]:
    """The hyper layers of a model with their names, each once."""
    for name, module in model.named_modules():
        if isinstance(getattr(module, "home", None), Home):
            yield name, cast(HyperLayer, module)


def anywhere(layer: object) -> bool:
    """Whether a layer's own parameters respond wherever they are read, not in its forward alone."""
    return getattr(type(layer), "anywhere", False) is True


def named_own(layer: HyperLayer) -> Iterator[tuple[str, nn.Parameter]]:
    """A layer's parameters, of the modules inside it too; of one that responds anywhere those that are its own."""
    every = layer.named_parameters()
    return ((n, p) for n, p in every if "." not in n) if anywhere(layer) else every


def space_of(model: nn.Module) -> HyperSpace:
    """The space of a converted model; UserError if it has none."""
    for home in homes_of(model):
        if home.space is not None:
            return home.space
    raise UserError("this model knows no space; make it with convert(model, space) or call bind(model, space)")


@contextmanager
def at(
    model: nn.Module,
    lam: Tensor,
    centre: Tensor | None = None,
    *,
    h: Tensor | None = None,
    values: Mapping[str, Any] | None = None,
    tangent: bool = False,
) -> Iterator[None]:
    """Inside, the hyper layers of `model` see λ: raw (n,) or (B, n), float32 or float64.

    The response input is lam (MacKay et al. 2019), or lam - centre (Bae & Grosse 2020); with `centre is lam` it is
    exactly zero and no response is computed. `h` gives the input itself, in λ's shape, for a response to something
    else than raw λ (zero where λ is the centre). `values` overrides natural values by name (a replayed course).
    `tangent` makes responses first order (see `linearised`). Nested, per thread and exception-safe.
    Raises UserError for a wrong size, type or device of λ, a model without hyper layers, and an input that the response
    was not trained on.
    """
    layers = [layer for _, layer in hyper_layers(model)]
    homes = list(dict.fromkeys(layer.home for layer in layers))
    if not homes and lam.numel():
        raise UserError("this model has no hyper layer; make it with convert(model, space)")
    outer = _here.scopes
    inner = dict(outer or {})
    for home in homes:
        _check(lam, home, model)
        scope = _scope(home, lam, response_input(home, lam, centre) if h is None else h, values or {}, tangent)
        same = centre is not None and centre is not lam and lam.is_set_to(centre)  # as λ and λ.detach() are
        inner[home] = replace(scope, zero=same)
    _here.scopes = _everywhere.scopes = inner
    own: list[Any] = [layer for layer in layers if anywhere(layer) and layer.num_hyper]
    try:
        with forgetting(model), own[0].acting(own, inner) if own else nullcontext():
            yield
    except RowsError as error:
        name = innermost(model, error)
        remedy = f"leave it out by convert(..., exclude=[{name!r}]), or take form='generic', one λ for a batch"
        raise UserError(f"{error} (in {name!r}: if it sees other rows than the batch's, {remedy})") from error
    finally:
        _here.scopes = _everywhere.scopes = outer


def hyper_values(model: nn.Module) -> dict[str, Any]:
    """Natural values in this context: name -> (), (B,) or vectors, detached; untuned ones are plain numbers."""
    for home in homes_of(model):
        if home.space is not None:
            return dict(_values(home))
    raise UserError("this model knows no space; make it with convert(model, space) or call bind(model, space)")


def value_of(layer: HyperLayer, name: str) -> Any:
    """The natural value of one hyperparameter for a layer in this context: a number, () or (B,)."""
    values = _values(layer.home)
    if name not in values:
        kind = type(layer).__name__
        raise UserError(f"{kind} wants hyperparameter {name!r}; call bind(model, space) with a space that has it")
    return values[name]


def scope_of(layer: HyperLayer) -> Scope:
    """The scope of a layer with a response; UserError if there is none."""
    scopes = _everywhere.scopes if _OLD and torch.compiler.is_compiling() else _here.scopes
    scope = None if scopes is None else scopes.get(layer.home)
    if scope is None:
        raise UserError("λ is unknown here: run the model inside `with at(model, lam): ...`, or take tuner.collapsed()")
    return scope


def move_home(layer: HyperLayer, home: Home) -> None:
    """Let a layer belong to another home of its model, which sees the same λ from now on, in this context too."""
    scopes = _here.scopes
    if isinstance(scopes, dict) and layer.home in scopes:
        scope = scopes[layer.home]
        scopes[home] = scope if home.responds else replace(scope, h=None)
    layer.home = home


def homes_of(model: nn.Module) -> list[Home]:
    """What the hyper layers of a model belong to, each once."""
    return list(dict.fromkeys(layer.home for _, layer in hyper_layers(model)))


def _values(home: Home) -> Mapping[str, Any]:
    scopes = _everywhere.scopes if _OLD and torch.compiler.is_compiling() else _here.scopes
    scope = None if scopes is None else scopes.get(home)
    if scope is not None:
        return scope.values
    if home.space is None:
        return {}
    if home.space.n == 0:
        return home.space.values(torch.zeros(0), torch)
    raise UserError("λ is unknown here: run the model inside `with at(model, lam): ...`")


def response_input(home: Home, lam: Tensor, centre: Tensor | None) -> Tensor | None:
    """λ, or λ - centre; None where centre is λ itself: zero. UserError where a tuner trained on something else."""
    if centre is lam:
        return None
    fitting = home.fed in (None, "raw" if centre is None else "centred")
    if not fitting and (centre is None or home.fed == "raw" or not torch.equal(lam, centre)):
        raise UserError(f"this response was trained on {_WANTED[home.fed]}, or take tuner.collapsed(values)")
    return lam if centre is None else lam - centre


def _scope(home: Home, lam: Tensor, h: Tensor | None, values: Mapping[str, Any], tangent: bool) -> Scope:
    natural: dict[str, Any] = {}
    if home.space is not None:
        for name in values:
            home.space[name]
        with torch.no_grad():
            natural = {**home.space.values(lam.detach(), torch), **values}
    return Scope(lam, h if home.responds else None, natural, tangent)


def _check(lam: Tensor, home: Home, model: nn.Module) -> None:
    if not isinstance(lam, Tensor):
        raise UserError("λ must be a torch tensor: torch.as_tensor(space.init(), dtype=torch.float32)")
    if lam.dtype not in (torch.float32, torch.float64):
        raise UserError(f"λ has dtype {lam.dtype}; keep it in float32 (autocast and half-precision models too)")
    if lam.dim() not in (1, 2) or lam.shape[-1] != home.n:
        raise UserError(f"λ has shape {tuple(lam.shape)}; it must be ({home.n},) or (batch, {home.n})")
    parameter = next(model.parameters(), None)
    if parameter is not None and parameter.device != lam.device:
        there = str(parameter.device)
        raise UserError(f"λ is on {lam.device} and the model on {there}; move one with .to({there!r})")
