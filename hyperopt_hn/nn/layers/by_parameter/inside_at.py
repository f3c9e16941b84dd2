"""What parameters that respond by themselves are inside `at`: with one λ their values at it, else read by a mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, Scope
from hyperopt_hn.nn.layers.by_parameter.lookups import Tables, ruled
from hyperopt_hn.nn.layers.by_parameter.movement import Moving, moving
from hyperopt_hn.nn.layers.by_parameter.reading import Reading, Use

Held = dict[str, Any]


@contextmanager
def acting(layers: Sequence[Any], scopes: Mapping[Home, Scope]) -> Iterator[None]:
    """Inside, these modules' parameters answer for λ; nested, each level begins with the parameters themselves."""
    before = [(layer, dict(layer._parameters), vars(layer)["response_kept"]) for layer in layers]
    uses: list[Use] = []
    tables: dict[int, tuple[Moving, Tensor]] = {}
    try:
        for layer, _, kept in before:
            layer._parameters.update(kept or {})
            vars(layer)["response_kept"] = None
            scope = scopes.get(layer.home)
            if scope is not None and scope.h is not None:
                if vars(layer)["response_at_once"] and (scope.h.dim() == 2 or scope.tangent):
                    raise UserError(
                        "form='generic' takes one λ for a batch, (n,), in passes that are not linearised: "
                        "Hypers(space, one_draw=True), and Delta(linear=False) for Δ-STN"
                    )
                if scope.h.dim() == 1 and not scope.tangent:
                    values = layer.weights(scope.h)
                    _put(layer, values)
                    own = moving(layer) if ruled(layer) and torch.is_grad_enabled() else ()
                    tables |= {id(values[one.name]): (one, scope.h) for one in own}
                else:
                    uses += [Use(one, scope) for one in moving(layer)]
            elif kept:
                _refreshed(layer)
        reading = Reading(uses, layers)
        responds = bool(uses) or any(vars(layer)["response_kept"] for layer in layers)
        with reading, Tables(tables) if tables else nullcontext(), _eager(responds):
            yield
    finally:
        for layer, held, kept in before:
            layer._parameters.update(held)
            vars(layer)["response_kept"] = kept
            _refreshed(layer)


def _eager(wanted: bool) -> AbstractContextManager[object]:
    """A compiled model runs as it is written while its parameters are not themselves: a mode of torch is not traced."""
    if not wanted or torch.compiler.is_compiling():
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance


def _put(layer: nn.Module, values: Held) -> None:
    kept = {name: layer._parameters[name] for name in values}
    layer._parameters.update(values)
    vars(layer)["response_kept"] = kept
    _refreshed(layer)


def _refreshed(layer: nn.Module) -> None:
    """torch's recurrent modules keep a list of their weights beside."""
    if "_flat_weights_names" in vars(layer):
        flat: list[Any] = [layer._parameters.get(name) for name in vars(layer)["_flat_weights_names"]]
        vars(layer)["_flat_weights"] = flat
