"""From torch's own layer to a hyper layer and back, by the constructor's arguments that the two have in common."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from torch import nn

from hyperopt_hn.nn.layers.affine_response import Gain, adopt

Layer = TypeVar("Layer", bound=nn.Module)

_OURS = ("self", "num_hyper", "device", "dtype")


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


def around(kind: type[Layer], plain: nn.Module, num_hyper: int, gain: Gain) -> Layer:
    """A hyper layer of class `kind` that holds the very parameters and buffers of `plain`."""
    make: Any = kind
    layer = make(num_hyper=num_hyper, device="meta", gain=gain, **arguments(kind, plain))
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
    held = getattr(layer, name)
    return held if name != "bias" or isinstance(held, bool) else held is not None
