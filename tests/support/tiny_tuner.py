"""Hand-written models and problems with known answers, for the tuner's tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.nn.context import Home, scope_of
from hyperopt_hn.nn.conversion.binding import bind
from hyperopt_hn.nn.layers.affine_response import joined


class AffineWeights(nn.Module):
    """w(h) = w + h T: (P,) for one λ, (B, P) for several. `deaf` forgets the response path."""

    def __init__(self, space: HyperSpace, size: int, dtype: torch.dtype = torch.float64, deaf: bool = False) -> None:
        super().__init__()
        self.num_hyper, self.home, self.deaf = space.n, Home(None, space.n), deaf
        self.weight = nn.Parameter(torch.zeros(size, dtype=dtype))
        self.response_weight = nn.Parameter(torch.zeros(space.n, size, dtype=dtype))
        bind(self, space)

    def forward(self) -> Tensor:
        scope = scope_of(self)
        if scope.h is None:
            return self.weight
        h = scope.h.detach() if self.deaf else scope.h
        moved = h.to(self.weight.dtype) @ self.response_weight
        return joined(self.weight + torch.zeros_like(moved), moved) if scope.tangent else self.weight + moved


@dataclass(frozen=True)
class Ridge:
    """Ridge regression: L_T = mean (Xw - y)² + e^λ |w|², L_V = mean (Xv w - yv)², both float64."""

    x: np.ndarray
    y: np.ndarray
    xv: np.ndarray
    yv: np.ndarray

    @classmethod
    def make(cls, seed: int = 0, rows: int = 24, features: int = 8, noise: float = 1.5) -> Ridge:
        rng = np.random.default_rng(seed)
        w = rng.normal(size=features)
        x, xv = rng.normal(size=(rows, features)), rng.normal(size=(200, features))
        return cls(x, x @ w + noise * rng.normal(size=rows), xv, xv @ w + noise * rng.normal(size=200))

    def best_weights(self, lam: float) -> np.ndarray:
        n, p = self.x.shape
        return np.linalg.solve(self.x.T @ self.x / n + np.exp(lam) * np.eye(p), self.x.T @ self.y / n)

    def valid(self, lam: float) -> float:
        return float(np.mean((self.xv @ self.best_weights(lam) - self.yv) ** 2))

    def slope(self, lam: float) -> float:
        """dL_V(w*(λ))/dλ in closed form."""
        n, p = self.x.shape
        w = self.best_weights(lam)
        dw = -np.linalg.solve(self.x.T @ self.x / n + np.exp(lam) * np.eye(p), np.exp(lam) * w)
        return float(2 * np.mean((self.xv @ w - self.yv) * (self.xv @ dw)))

    def optimum(self) -> float:
        """λ*, by bisection of the slope."""
        low, high = -8.0, 4.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.slope(middle) < 0 else (low, middle)
        return middle


def decay_space(init: float = 0.0, spread: float = 0.5, shared: bool = False) -> HyperSpace:
    """One weight decay, value = e^λ."""
    return HyperSpace([Hyper("decay", float(np.exp(init)), low=0.0, log=True, spread=spread, shared=shared)])


class FixedNoise:
    """The same ε at every draw."""

    def __init__(self, eps: Tensor) -> None:
        self.eps = eps

    def draw(self, rows: int) -> tuple[Tensor, Tensor]:
        assert rows == len(self.eps)
        return self.eps, self.eps[0]

    def state(self) -> Tensor:
        return torch.zeros(0)

    def load_state(self, state: Tensor) -> None:
        pass


class Nothing:
    """A source of empty batches, for problems whose losses hold their own data."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def next(self) -> Tensor:
        return torch.zeros(1)

    def once(self) -> list[Tensor]:
        return [torch.zeros(1)]

    def state(self) -> dict[str, object]:
        return {}

    def load_state(self, state: dict[str, object]) -> None:
        pass
