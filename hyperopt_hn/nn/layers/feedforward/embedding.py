"""HyperEmbedding: E(λ)[token] = E[token] + (V h) ⊙ R[token] (the published STN's LSTM code), and word-type dropout.

B batch, D embedding dimension, n tuned hyperparameters; the response input h is (n,) or (B, n).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, scope_of
from hyperopt_hn.nn.layers import squares
from hyperopt_hn.nn.layers.affine_response import Gain, joined, lift_features, merged, product, reset_gain
from hyperopt_hn.nn.layers.masks import kept_words
from hyperopt_hn.nn.layers.plain import Around


class HyperEmbedding(Around):
    """nn.Embedding with one response scalar per embedding dimension; tokens (...) -> (..., D).

    `dropout` names a shared hyperparameter: the rate at which whole word types vanish in training, one mask per
    batch (Gal & Ghahramani 2016). Raises UserError for max_norm, which rewrites the table during forward.
    """

    plain_class = nn.Embedding

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        num_hyper: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        gain: Gain = "delta",
    ) -> None:
        super().__init__()
        if max_norm is not None and num_hyper:
            raise UserError(
                "an embedding with max_norm rewrites its table as it runs; drop max_norm or exclude the layer"
            )
        shape = nn.Embedding(num_embeddings, embedding_dim, padding_idx, device="meta")
        self.num_embeddings, self.embedding_dim, self.num_hyper = num_embeddings, embedding_dim, num_hyper
        self.padding_idx, self.max_norm, self.norm_type = shape.padding_idx, max_norm, norm_type
        self.scale_grad_by_freq, self.sparse, self.gain = scale_grad_by_freq, sparse, gain
        self.dropout: str | None = None
        self.home = Home(None, num_hyper)
        kind = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim, **kind))
        if num_hyper:
            self.response_weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim, **kind))
            self.response_scale = nn.Parameter(torch.empty(embedding_dim, num_hyper, **kind))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """E as nn.Embedding's, R of the same size, V by `gain`; the row at padding_idx is zero in both."""
        nn.init.normal_(self.weight)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].zero_()
        self.reset_response()

    def reset_response(self) -> None:
        """The response part alone; R takes the root mean square of E, whatever scheme E was started by."""
        if not self.num_hyper:
            return
        reset_gain(self.response_scale, self.gain)
        with torch.no_grad():
            self.response_weight.normal_()
            self.response_weight.mul_(self.weight.square().mean().sqrt())
            if self.padding_idx is not None:
                self.response_weight[self.padding_idx].zero_()

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The materialised response at one h (n,): {"weight"} as nn.Embedding holds it."""
        return {"weight": merged(self.weight, product(h, self.response_scale), self.response_weight)}

    def norms(self) -> dict[str, squares.Quadratic]:
        """|E(λ)|² in h, by name."""
        return {"weight": squares.full(self.weight, self.response_weight, self.response_scale, 1)}

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> (..., D). The table is never merged: a batch reads few of its rows."""
        scope = scope_of(self) if self.num_hyper else None
        out = self._rows(input, self.weight, self.max_norm, self.sparse)
        if scope is not None and scope.h is not None:
            response = self._rows(input, self.response_weight, None, False)  # its optimizer is no sparse one
            s = lift_features(product(scope.h, self.response_scale), response, self.home)
            out = joined(out, s * response) if scope.tangent else torch.addcmul(out, s, response)
        return kept_words(self, self.dropout, input, out)

    def _rows(self, tokens: Tensor, table: Tensor, max_norm: float | None, sparse: bool) -> Tensor:
        scaled = self.scale_grad_by_freq
        return F.embedding(tokens, table, self.padding_idx, max_norm, self.norm_type, scaled, sparse)

    def extra_repr(self) -> str:
        shape = f"{self.num_embeddings}, {self.embedding_dim}"
        return f"{shape}, num_hyper={self.num_hyper}, padding_idx={self.padding_idx}"
