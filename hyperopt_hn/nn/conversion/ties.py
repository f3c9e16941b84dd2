"""Layers that share a parameter share its response, so that it stays one parameter when collapsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import anywhere, named_own
from hyperopt_hn.nn.conversion.obstacles import by_itself
from hyperopt_hn.nn.layers.by_parameter.movement import PREFIX
from hyperopt_hn.nn.layers.feedforward.embedding import HyperEmbedding
from hyperopt_hn.nn.layers.feedforward.gated_layers import GatedEmbedding, GatedLinear
from hyperopt_hn.nn.layers.feedforward.linear import HyperLinear
from hyperopt_hn.nn.layers.feedforward.low_rank_layers import LowRankEmbedding, LowRankLinear

_TABLES = (HyperEmbedding, LowRankEmbedding, GatedEmbedding)
_READERS = (HyperLinear, LowRankLinear, GatedLinear)
_OF_WEIGHTS = ("response_weight", "response_scale", "response_outer", "response_gain", "response_inner")


def tie(made: Mapping[nn.Module, nn.Module], names: Mapping[nn.Module, str]) -> None:
    """Let the holders of a shared parameter hold one response; UserError where no common response serves them.

    `made`: plain module -> layer that responds; `names` of the plain modules.
    """
    called = {layer: names.get(plain, "") for plain, layer in made.items()}
    first: dict[int, tuple[nn.Module, str]] = {}
    tables = (*_TABLES, nn.Embedding)
    ordered = sorted(made.values(), key=lambda m: not isinstance(m, tables))  # an embedding decides the direction
    for layer in ordered:
        for name, parameter in list(named_own(layer)):  # type: ignore[arg-type]
            if name.rpartition(".")[2].startswith("response_"):
                continue
            owner, known = first.setdefault(id(parameter), (layer, name))
            responding: Any = layer
            if owner is not layer and responding.num_hyper:
                _share(owner, known, responding, name, called)


def left_together(model: nn.Module, reasons: dict[nn.Module, str | None], names: Mapping[nn.Module, str]) -> None:
    """Leave layers that share a parameter with one that cannot respond, of which both would make different weights.

    `reasons`: why each module is left, None where it is not; changed in place. One that was left out by its owner's
    word (exclude, include) does not count: it keeps the elementary weights.
    """
    whole = {part: m for m in reasons if isinstance(m, nn.MultiheadAttention) for part in m.modules()}
    shared = _sharing(model, whole)
    for _ in range(len(reasons)):  # a chain of ties is no longer than that
        for modules in shared:
            left = [m for m in modules if (reasons.get(m) or "").partition(" ")[0] not in ("", "excluded", "not")]
            for module in modules:
                if left and reasons.get(module, "") is None:
                    reasons[module] = f"it shares a parameter with {names.get(left[0], '?')!r}, which does not respond"


def ties_agreed(model: nn.Module, reasons: Mapping[nn.Module, str | None], alone: set[nn.Module]) -> None:
    """Where one holder of a shared parameter responds by itself, let all that respond; `alone` grows."""
    shared = _sharing(model, {})
    for _ in shared:  # a chain of ties is no longer than that
        for group in shared:
            if alone.intersection(group):
                alone.update(m for m in group if reasons.get(m, "") is None and by_itself(m))


def _sharing(model: nn.Module, whole: Mapping[nn.Module, nn.Module]) -> list[list[nn.Module]]:
    """The modules that hold one parameter together, parts of a `whole` counted as that, a list for each parameter."""
    holders: dict[int, dict[nn.Module, None]] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            holders.setdefault(id(parameter), {})[whole.get(module, module)] = None
    return [list(modules) for modules in holders.values() if len(modules) > 1]


def _share(owner: Any, known: str, layer: Any, name: str, called: Mapping[nn.Module, str]) -> None:
    if anywhere(layer) and anywhere(owner):
        layer.register_parameter(PREFIX + name, owner.get_parameter(PREFIX + known))
        layer.response_axes[name] = owner.response_axes[known]
        return
    turned = isinstance(owner, _TABLES) and isinstance(layer, _READERS)
    if known != name or name not in ("weight", "bias") or not (turned or type(owner) is type(layer)):
        one, two = called[layer], called[owner]
        raise UserError(
            f"{one!r} ({type(layer).__name__}) and {two!r} ({type(owner).__name__}) share a parameter in a way that no "
            f"common response serves: convert(..., exclude=[{one!r}, {two!r}]), or form='generic'"
        )
    for response in _responses(layer, name):
        if getattr(owner, response, None) is not None:
            setattr(layer, response, getattr(owner, response))
    if isinstance(layer, (HyperLinear, GatedLinear)) and name == "weight":
        layer.along_input = turned or (isinstance(owner, type(layer)) and owner.along_input)


def _responses(layer: nn.Module, name: str) -> tuple[str, ...]:
    """The parameters of the response that move a weight or a bias."""
    if name == "weight":
        return _OF_WEIGHTS
    gates_bias = isinstance(layer, GatedLinear) or type(layer).__name__.startswith("GatedConv")
    return ("response_bias", "response_shift", *(("response_scale",) if gates_bias else ()))
