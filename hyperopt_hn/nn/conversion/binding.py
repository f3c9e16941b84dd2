"""Which space a model's hyper layers belong to, where the batch is in their inputs, which of them answer as plain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from torch import nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, HyperLayer, anywhere, homes_of, hyper_layers, move_home, named_own
from hyperopt_hn.space import HyperSpace


def bind(model: nn.Module, space: HyperSpace, batch_dim: int | None = None) -> None:
    """Give every hyper layer of a hand-built model this space (`convert` does it for its own).

    `batch_dim` is for models whose inputs carry the batch elsewhere than in dimension 0 (1: time first), and for
    flattened inputs: with 0 stated, (B·m, ...) holds m rows of each example in turn; with 1, (m·B, ...) holds the
    batch m times over. Raises UserError for layers made for another number of hyperparameters.
    """
    home = Home(space, space.n, batch_dim)
    layers = list(hyper_layers(model))
    if not layers:
        raise UserError("this model has no hyper layer; make it with convert(model, space)")
    for name, layer in layers:
        if layer.num_hyper not in (0, space.n):
            made = f"layer {name!r} was made for {layer.num_hyper} hyperparameters"
            raise UserError(f"{made} and the space tunes {space.n}")
        layer.home = home
    inside = Home(space, space.n, batch_dim or 0)  # a layer inside another, which knows its batch and feeds it
    for _, layer in within(layers):
        layer.home = inside


def within(layers: Sequence[tuple[str, HyperLayer]]) -> list[tuple[str, HyperLayer]]:
    """Those of these that are parts of others of them."""
    names = [name for name, layer in layers if not anywhere(layer)]
    return [
        (n, x) for n, x in layers if any(n != other and (not other or n.startswith(f"{other}.")) for other in names)
    ]


def fed_along(layers: Iterable[HyperLayer], batch_dim: int | None, alone: bool = False) -> None:
    """Tell these layers which dimension of their inputs is the batch, or that they have none; no others."""
    made: dict[Home, Home] = {}
    for layer in layers:
        old = layer.home
        home = made.setdefault(old, copy(old))
        home.batch_dim, home.alone = batch_dim, alone
        move_home(layer, home)


def set_batch_dim(model: nn.Module, batch_dim: int) -> None:
    """Say which dimension of the inputs of linear, embedding, norm and dropout layers is the batch (see `bind`)."""
    for home in homes_of(model):
        home.batch_dim = batch_dim


def silence(layer: HyperLayer) -> None:
    """Let a layer answer as its plain one from now on; its response is set to zero and trained no more."""
    home = copy(layer.home)
    home.responds = False
    move_home(layer, home)
    freeze_response(layer)


def freeze_response(layer: HyperLayer) -> None:
    """Set a layer's response to zero, and train it no more."""
    for name, parameter in named_own(layer):
        if name.rpartition(".")[2].startswith("response_"):
            parameter.requires_grad_(False)
            if parameter.shape[-1] == layer.num_hyper:
                nn.init.zeros_(parameter)
