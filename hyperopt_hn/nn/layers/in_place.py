"""torch's own layer made to respond in place, and back: its class changes; module, hooks and parameters stay."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from hyperopt_hn.nn.context import Home, Scope, scope_of
from hyperopt_hn.nn.layers.affine_response import Gain, merged_once
from hyperopt_hn.nn.layers.plain import Options

Layer = TypeVar("Layer", bound="InPlace")


class InPlace(nn.Module):
    """What the layers share that are made in place: a subclass of this and of torch's class, with its attributes."""

    response_attributes: ClassVar[tuple[str, ...]] = (
        "home", "plain_class", "num_hyper", "gain", "rank", "along_input", "dropconnect", "dropout_name",
    )  # fmt: skip
    """Those of an instance that torch's layer does not have."""
    home: Home
    num_hyper: int = 0
    gain: Gain
    rank: int | None

    @classmethod
    def from_plain(cls: type[Layer], plain: Any, options: Options) -> Layer:
        """The very layer `plain`, responding."""
        layer = become(cls, plain, options)
        if layer.num_hyper:
            layer.make_response()
            layer.reset_response()
        return layer

    def plain(self) -> nn.Module:
        """torch's layer with the same parameters."""
        return restored(self)

    def make_response(self) -> None:
        """Register the response's parameters, uninitialised."""
        raise NotImplementedError

    def reset_response(self) -> None:
        """The response part alone."""
        raise NotImplementedError

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,), by the names of torch's layer."""
        raise NotImplementedError

    def scope(self) -> Scope | None:
        """λ during this forward pass; None where nothing responds."""
        return scope_of(self) if self.num_hyper else None

    def at_once(
        self, product: Callable[..., Tensor], input: Tensor, own: tuple[Tensor, Any], scope: Scope | None
    ) -> Tensor | None:
        """product(input, weight, bias) where one set serves the whole batch; None where examples have their own.

        `own` are the elementary weight, perhaps with entries dropped, and the bias.
        """
        if scope is None or scope.h is None:
            return product(input, *own)
        both = merged_once(self, scope) if own[0] is self.weight else None
        return None if both is None else product(input, both["weight"], both.get("bias"))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_hyper={self.num_hyper}"


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
    """The plain layer again, in place: the inverse of `become`, and of whatever keeps a layer's object likewise."""
    for name in [name for name in layer._parameters if name.startswith("response_")]:
        del layer._parameters[name]
    kind = vars(layer)["plain_class"]
    added: Any = type(layer)
    for name in added.response_attributes:
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
