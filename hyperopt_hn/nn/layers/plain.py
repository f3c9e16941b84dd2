"""From torch's own layer to a hyper layer and back: a new one with the same arguments, or the same one in place."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from hyperopt_hn.nn.context import Home
from hyperopt_hn.nn.layers.affine_response import Gain, adopt

Layer = TypeVar("Layer", bound=nn.Module)


@dataclass(frozen=True)
class Options:
    """How a layer responds: to how many hyperparameters, from which start, and with which rank (None: by size)."""

    num_hyper: int
    gain: Gain = "delta"
    rank: int | None = None


_OURS = ("self", "num_hyper", "device", "dtype")
_RESPONSE = ("home", "plain_class", "num_hyper", "gain", "rank", "along_input", "dropconnect", "dropout_name")
"""Attributes of a layer of `become` that torch's layer does not have."""


def arguments(kind: type[nn.Module], layer: nn.Module) -> dict[str, Any]:
    """What torch's layer behind the hyper layer `kind` is made with, read from a `layer` of either class.

    The names are those of kind's signature; keyword-only ones belong to the response and are left out.
    """
    names = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY and name not in _OURS
    ]
    return {name: _argument(layer, name) for name in names}


def around(kind: type[Layer], plain: nn.Module, options: Options) -> Layer:
    """A hyper layer of class `kind` that holds the very parameters and buffers of `plain`."""
    make: Any = kind
    layer = make(num_hyper=options.num_hyper, device="meta", gain=options.gain, **arguments(kind, plain))
    adopt(layer, plain)
    layer.reset_response()
    made: Layer = layer
    return made


def twin(plain: type[Layer], layer: nn.Module) -> Layer:
    """torch's layer `plain` of the shape of a hyper layer, on the meta device, to be filled."""
    return plain(**arguments(type(layer), layer), device="meta")


def _argument(layer: nn.Module, name: str) -> Any:
    """An attribute of that name, or for what a layer keeps as a parameter: whether it has it."""
    if name == "bias" and "in_proj_bias" in layer._parameters:
        return layer.in_proj_bias is not None
    if name == "add_bias_kv":
        return layer.bias_k is not None
    given = getattr(layer, name)
    return given if name != "bias" or isinstance(given, bool) else given is not None


def become(kind: type[Layer], plain: nn.Module, options: Options) -> Layer:
    """Make a hyper layer of torch's own one in place: its class changes, module, hooks and parameters stay.

    `kind` is a subclass of the plain class with the same instance attributes.
    """
    attributes: dict[str, Any] = {"home": Home(None, options.num_hyper), "plain_class": type(plain), **vars(options)}
    vars(plain).update(attributes)
    layer: Any = plain
    layer.__class__ = kind
    made: Layer = layer
    return made


def restore(layer: nn.Module) -> nn.Module:
    """torch's own layer again, in place: the inverse of `become`."""
    for name in [name for name in layer._parameters if name.startswith("response_")]:
        del layer._parameters[name]
    kind = vars(layer)["plain_class"]
    for name in (*_RESPONSE, "dropout") if issubclass(kind, nn.Embedding) else _RESPONSE:
        vars(layer).pop(name, None)
    layer.__class__ = kind
    return layer


def restored(layer: nn.Module) -> nn.Module:
    """torch's own layer with the same parameters, beside a layer of `become`, which stays."""
    twin_: nn.Module = object.__new__(type(layer))
    vars(twin_).update({k: copy.copy(v) if isinstance(v, (dict, set, list)) else v for k, v in vars(layer).items()})
    return restore(twin_)


def undo(layers: Iterable[nn.Module]) -> None:
    """Take back `become`, in place, in these layers and the layers inside them."""
    for layer in layers:
        for module in list(layer.modules()):
            if "plain_class" in vars(module):
                restore(module)
