"""From torch's own layer to a hyper layer around its parameters, and back: made with the arguments of its signature."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import nn

from hyperopt_hn.nn.layers.affine_response import Gain, adopt

Layer = TypeVar("Layer", bound=nn.Module)


@dataclass(frozen=True)
class Options:
    """How a layer responds: to how many hyperparameters, from which start, and with which rank (None: by size)."""

    num_hyper: int
    gain: Gain = "delta"
    rank: int | None = None


_OURS = ("self", "num_hyper", "device", "dtype")


class Around(nn.Module):
    """What the layers share that are made around the parameters of torch's own layer, of class `plain_class`."""

    plain_class: ClassVar[Any]

    @classmethod
    def from_plain(cls: type[Layer], plain: Any, options: Options) -> Layer:
        """A hyper layer around the very parameters and buffers of `plain`."""
        return around(cls, plain, options)

    def plain(self) -> Any:
        """torch's layer of the same shape on the meta device, to be filled."""
        return twin(self.plain_class, self)


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
