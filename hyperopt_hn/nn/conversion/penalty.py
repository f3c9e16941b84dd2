"""Penalties on the weights of a responding model: |w(λ)|² at the λ of the context, without building w(λ).

W(λ) = W + s ⊙ R with one s = V h per row, so |W(λ)|² = |W|² + 2 s·⟨W, R⟩ + s²·|R|², row by row: one number per
example costs no more than one. B batch, n tuned hyperparameters, k rows that share an entry of s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from hyperopt_hn.nn.context import scope_of
from hyperopt_hn.nn.layers.affine_response import product
from hyperopt_hn.nn.layers.attention import HyperMultiheadAttention
from hyperopt_hn.nn.layers.attention_calls import PACKED, SEPARATE
from hyperopt_hn.nn.layers.conv import HyperConv1d, HyperConv2d, HyperConv3d
from hyperopt_hn.nn.layers.embedding import HyperEmbedding
from hyperopt_hn.nn.layers.linear import HyperLinear
from hyperopt_hn.nn.layers.lstm import HyperLSTM

Piece = tuple[Tensor, Tensor, Tensor, int]
"""W, R, V (k, n), and the dimension of W that V's rows belong to."""


def squared_norm(model: nn.Module) -> Tensor:
    """Σ w(λ)² over all weights of two or more dimensions (no biases, no norms), each once: (), or (B,) for B λs.

    Give it a part of the model for a per-layer penalty. Call it inside a loss, where the tuner has set λ; plain
    parameters count as they are.
    """
    total: Tensor | None = None
    seen: set[int] = set()
    for module in model.modules():
        responding = {id(w): (w, r, v, axis) for w, r, v, axis in _pieces(module)}
        for name, parameter in module.named_parameters(recurse=False):
            if name.startswith("response_") or parameter.dim() < 2 or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            piece = responding.get(id(parameter))
            here = _wide(parameter).square().sum() if piece is None else _piece_norm(module, piece)
            total = here if total is None else total + here
    if total is None:
        raise ValueError("this model has no weights of two or more dimensions; there is nothing to penalise")
    return total


def _piece_norm(module: Any, piece: Piece) -> Tensor:
    weight, response, gain, axis = _wide(piece[0]), _wide(piece[1]), piece[2], piece[3]
    own = weight.square().sum()
    h = scope_of(module).h
    if h is None:
        return own
    others = [d for d in range(weight.dim()) if d != axis]
    s = product(h, gain)  # (k,) or (B, k)
    cross, square = ((t * response).sum(others).to(s.dtype) for t in (weight, response))
    return own + 2 * s @ cross + s.square() @ square


def _wide(parameter: Tensor) -> Tensor:
    return parameter if parameter.dtype == torch.float64 else parameter.float()


def _pieces(module: nn.Module) -> Iterator[Piece]:
    if isinstance(module, HyperLSTM) and module.num_hyper:
        for name, parameter in module.named_parameters(recurse=False):
            if name.startswith("weight"):
                gain = module.get_parameter(name.replace("weight", "response_scale"))
                yield parameter, module.get_parameter("response_" + name), gain, 0
    elif isinstance(module, HyperMultiheadAttention) and module.num_hyper:
        names = [n for n in (*PACKED, *SEPARATE) if n in dict(module.named_parameters(recurse=False))]
        gains = module.response_scale.split(3 * module.embed_dim // len(names))
        for name, gain in zip(names, gains, strict=True):
            yield module.get_parameter(name), module.get_parameter("response_" + name), gain, 0
    elif isinstance(module, HyperEmbedding) and module.num_hyper:
        yield module.weight, module.response_weight, module.response_scale, 1
    elif isinstance(module, (HyperLinear, HyperConv1d, HyperConv2d, HyperConv3d)) and module.num_hyper:
        along_input = isinstance(module, HyperLinear) and module.along_input
        yield module.weight, module.response_weight, module.response_scale, int(along_input)
