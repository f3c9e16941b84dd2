"""collapse: the ordinary model at one λ, plain classes and a plain state_dict."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, anywhere, at, homes_of, hyper_layers, hyper_values, response_input
from hyperopt_hn.nn.conversion.converter import replace
from hyperopt_hn.nn.conversion.copies import copy_of
from hyperopt_hn.nn.layers.in_place import restore


@torch.no_grad()
def collapse(model: nn.Module, lam: Tensor, centre: Tensor | None = None, h: Tensor | None = None) -> nn.Module:
    """A copy of the model with the weights at λ (n,), dropout rates included; `model` is not touched.

    `centre` is what the response was trained around: None for an STN, λ̂ for a Δ-STN (so that collapse(model, λ̂, λ̂)
    is the general network); `h` (n,) is the response's input itself, for one
    that is fed something else. Locked dropout, which torch has no module for, becomes LockedDropout; word-type
    dropout and DropConnect, which act in training only, are left out. Weights tied in the model stay tied.
    Raises UserError for a λ per example, and where λ and its centre are not what a tuner trained the response on.
    """
    if lam.dim() != 1:
        raise UserError(f"λ has shape {tuple(lam.shape)}; collapse takes one λ, ({lam.shape[-1]},)")
    twin = copy_of(model)
    if next(hyper_layers(twin), None) is None:  # a plain one, as `implicit` tunes
        return twin
    made: dict[object, nn.Module] = {}
    tied: dict[int, nn.Parameter] = {}
    home = next(iter(homes_of(twin)), Home(None, len(lam)))
    given = response_input(home, lam, centre) if h is None else h
    given = torch.zeros_like(lam) if given is None else given
    own: list[tuple[Any, dict[str, Tensor]]] = []
    with at(twin, lam, h=given):
        named = any(layer.home.space is not None for _, layer in hyper_layers(twin))
        values = hyper_values(twin) if named else {}
        for name, layer in hyper_layers(twin):
            if anywhere(layer):
                alone: Any = layer
                own.append((alone, alone.weights(given) if layer.num_hyper and layer.home.responds else {}))
                continue
            if isinstance(layer, nn.Module) and parametrize.is_parametrized(layer):
                raise UserError(
                    f"layer {name!r} was parametrized (weight_norm, spectral_norm, ...) after convert; parametrize the "
                    "plain model, then convert it"
                )
            made[layer] = _plain(layer, given, values, tied)
    for layer, weights in own:
        _filled(layer, restore(layer), weights, tied)
    twin = replace(twin, made)
    for module in twin.modules():
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = _fast_activation(module.activation)
    return twin


def _plain(layer: Any, h: Tensor, values: dict[str, Any], tied: dict[int, nn.Parameter]) -> nn.Module:
    plain: nn.Module = layer.plain()
    name = getattr(layer, "name", None) or getattr(layer, "dropout_name", None)
    if name is not None:
        rate = float(values[name])
        if isinstance(plain, (nn.LSTM, nn.MultiheadAttention)):
            plain.dropout = rate
        else:
            vars(plain)[getattr(layer, "rate_attribute", "p")] = rate
    weights = layer.weights(h) if layer.num_hyper and layer.home.responds else {}
    _filled(layer, plain, weights, tied)
    for path, _ in list(plain.named_buffers()):
        plain.register_buffer(path, layer.get_buffer(path))
    return plain.train(layer.training)


def _filled(layer: Any, plain: nn.Module, weights: dict[str, Tensor], tied: dict[int, nn.Parameter]) -> None:
    """Give a plain layer its parameters, a tied one everywhere the same object."""
    for path, _ in list(plain.named_parameters(recurse=layer is not plain, remove_duplicate=False)):
        own = layer.get_parameter(path)
        value = weights.get(path, own)
        known = tied.get(id(own))
        if known is None or not torch.equal(known, value):
            known = nn.Parameter(value.detach().clone(), requires_grad=own.requires_grad)
            tied.setdefault(id(own), known)
        owner, _, leaf = path.rpartition(".")
        setattr(plain.get_submodule(owner), leaf, known)


def _fast_activation(activation: Any) -> int:
    if activation is nn.functional.relu or isinstance(activation, nn.ReLU):
        return 1
    return 2 if activation is nn.functional.gelu or isinstance(activation, nn.GELU) else 0
