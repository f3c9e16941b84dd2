"""Stochastic depth at the rate of a named hyperparameter: whole rows of a residual branch vanish in training.

torchvision's StochasticDepth and the DropPath of timm, transformers and others, known by what they are like.
Source: Huang et al. 2016. B batch.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from hyperopt_hn.nn.context import Home, value_of
from hyperopt_hn.nn.layers.affine_response import align
from hyperopt_hn.nn.layers.dropout import TunedRate
from hyperopt_hn.nn.layers.masks import keep_mask


def rate_name(module: nn.Module) -> str | None:
    """The attribute with the rate of a module that is stochastic depth; None for one that is not."""
    kind = type(module).__name__
    if next(module.parameters(), None) is not None or next(module.children(), None) is not None:
        return None
    if kind == "StochasticDepth" and isinstance(getattr(module, "p", None), float):
        return "p"
    known = kind.endswith("DropPath") and isinstance(getattr(module, "drop_prob", None), (int, float))
    return "drop_prob" if known else None


class HyperStochasticDepth(TunedRate):
    """Rows of (B, ...) kept whole or dropped whole, each example at its own rate; the mean of each is kept."""

    num_hyper = 0

    def __init__(self, name: str, like: nn.Module) -> None:
        super().__init__()
        self.name, self.home = name, Home(None, 0)
        self.rate_attribute = rate_name(like) or "p"
        self.batch_mode = getattr(like, "mode", "row") == "batch"
        self.scale_by_keep = bool(getattr(like, "scale_by_keep", True))
        self._like = (like,)

    @property
    def drop_prob(self) -> float:
        """As `p`."""
        return self.p

    def forward(self, *given: Tensor, **named: Tensor) -> Tensor:
        """(B, ...) -> the same; the libraries' modules give it different names."""
        (x,) = (*given, *named.values())
        if not self.training:
            return x
        rate: Any = value_of(self, self.name)
        ones = [1] * (x.dim() - 1)
        if self.batch_mode:
            rate, shape = rate.mean() if isinstance(rate, Tensor) else rate, (1, *ones)
        else:
            shape = (x.shape[0], *ones)
            if isinstance(rate, Tensor) and rate.dim():
                rate = align(rate, x.shape[0], self.home).reshape(-1, *ones)
        mask = keep_mask(shape, rate, x)
        return x * (mask if self.scale_by_keep else (mask > 0).to(x.dtype))

    def plain(self) -> nn.Module:
        """The module that it was made of, its rate to be set."""
        return copy.copy(self._like[0])

    def extra_repr(self) -> str:
        return f"rate of {self.name!r}, mode={'batch' if self.batch_mode else 'row'}"
