"""Dropouts whose rate is a named hyperparameter, each example at its own rate; the identity outside training.

The mean of every activation is kept at each example's own rate. Rates are never differentiated: λ is tuned through
the response, not through the masks. A hyperparameter that is not tuned drops at its constant, as torch's layers do.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import Home, value_of
from hyperopt_hn.nn.layers.affine_response import align, batch_axis, widened
from hyperopt_hn.nn.layers.masks import keep_mask


class TunedRate(nn.Module):
    """What the dropouts share whose rate is the hyperparameter `name`."""

    name: str
    home: Home

    @property
    def p(self) -> float:
        """The rate as one number, for code that reads it: the mean over the examples; the start where λ is unknown."""
        try:
            rate = value_of(self, self.name)  # type: ignore[arg-type]
        except UserError:
            return 0.0 if self.home.space is None else float(self.home.space[self.name].init)
        return float(rate.mean()) if isinstance(rate, Tensor) else float(rate)


class HyperDropout(TunedRate):
    """nn.Dropout at the rate of hyperparameter `name`; (...) unchanged in shape."""

    num_hyper = 0

    def __init__(self, name: str, inplace: bool = False) -> None:
        super().__init__()
        self.name, self.inplace = name, inplace
        self.home = Home(None, 0)

    def forward(self, input: Tensor) -> Tensor:
        """(...) -> the same."""
        if not self.training:
            return input
        rate = value_of(self, self.name)
        if not isinstance(rate, Tensor):
            return F.dropout(input, rate, True, self.inplace)
        mask = keep_mask(tuple(input.shape), _rows(rate, input, self.home), input)
        return input.mul_(mask) if self.inplace else input * mask

    def plain(self) -> nn.Module:
        """nn.Dropout at rate zero, to be set."""
        return nn.Dropout(0.0, self.inplace)

    def extra_repr(self) -> str:
        return f"rate of {self.name!r}, inplace={self.inplace}"


class HyperChannelDropout(TunedRate):
    """nn.Dropout1d/2d/3d at the rate of hyperparameter `name`: whole channels of (B, C, ...)."""

    num_hyper = 0

    def __init__(self, name: str, inplace: bool = False, like: type[nn.Module] = nn.Dropout2d) -> None:
        super().__init__()
        self.name, self.inplace, self.like = name, inplace, like
        self.home = Home(None, 0)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) -> the same."""
        if not self.training:
            return input
        rate: Any = value_of(self, self.name)
        if not isinstance(rate, Tensor):
            plain: nn.Module = self.like(rate, self.inplace)
            out: Tensor = plain(input)
            return out
        shape = (*input.shape[:2], *([1] * (input.dim() - 2)))
        if rate.dim():
            rate = align(rate, input.shape[0], self.home).reshape(-1, *([1] * (input.dim() - 1)))
        mask = widened(keep_mask(shape, rate, input), input)
        return input.mul_(mask) if self.inplace else input * mask

    def plain(self) -> nn.Module:
        """The plain channel dropout at rate zero, to be set."""
        return self.like(0.0, self.inplace)

    def extra_repr(self) -> str:
        return f"rate of {self.name!r}, inplace={self.inplace}, like={self.like.__name__}"


class HyperLockedDropout(TunedRate):
    """One mask for all time steps of a sequence at the rate of `name` (Gal & Ghahramani 2016)."""

    num_hyper = 0

    def __init__(self, name: str, batch_first: bool = False) -> None:
        super().__init__()
        self.name, self.batch_first = name, batch_first
        self.home = Home(None, 0)

    def forward(self, input: Tensor) -> Tensor:
        """(T, B, F), or (B, T, F) if batch_first -> the same."""
        if not self.training:
            return input
        rate = value_of(self, self.name)
        if isinstance(rate, Tensor) and rate.dim():
            batch = 0 if self.batch_first else 1
            rate = align(rate, input.shape[batch], self.home).unsqueeze(1)  # (B, 1): against F
            rate = rate.unsqueeze(1 if self.batch_first else 0)
        return _locked(input, rate, self.batch_first)

    def plain(self) -> nn.Module:
        """LockedDropout at rate zero, to be set."""
        return LockedDropout(0.0, self.batch_first)

    def extra_repr(self) -> str:
        return f"rate of {self.name!r}, batch_first={self.batch_first}"


class LockedDropout(nn.Module):
    """HyperLockedDropout at a fixed rate `p`, which torch has no module for; what collapse leaves of it."""

    def __init__(self, p: float, batch_first: bool = False) -> None:
        super().__init__()
        self.p, self.batch_first = p, batch_first

    def forward(self, input: Tensor) -> Tensor:
        """(T, B, F), or (B, T, F) if batch_first -> the same."""
        return _locked(input, self.p, self.batch_first) if self.training and self.p else input

    def extra_repr(self) -> str:
        return f"p={self.p}, batch_first={self.batch_first}"


def _locked(x: Tensor, rate: Any, batch_first: bool) -> Tensor:
    shape = list(x.shape)
    shape[1 if batch_first else 0] = 1
    return x * keep_mask(tuple(shape), rate, x)


def _rows(rate: Tensor, x: Tensor, home: Home) -> Tensor:
    if rate.dim() == 0 or home.alone:
        return rate.mean()
    axis = batch_axis(x.shape[: max(x.dim() - 1, 1)], rate.shape[0], home)
    shape = [1] * x.dim()
    shape[axis] = x.shape[axis]
    return align(rate, x.shape[axis], home).reshape(shape)
