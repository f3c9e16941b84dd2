"""The space of named hyperparameters and the one raw vector λ that holds the tuned ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hyperopt_hn.errors import UserError, unknown
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.transforms import Array

__all__ = ["Hyper", "HyperSpace"]


class HyperSpace:
    """An ordered set of hyperparameters; λ holds the tuned ones' raw values, the rest stay at `init`.

    Parameters: `hypers`, in order; `tuned`, the names that λ holds (None: all). Immutable.
    Raises UserError for a repeated or unknown name.
    """

    def __init__(self, hypers: Iterable[Hyper], tuned: Sequence[str] | None = None) -> None:
        self.hypers = tuple(hypers)
        self.names = tuple(h.name for h in self.hypers)
        repeated = sorted({n for n in self.names if self.names.count(n) > 1})
        if repeated:
            raise UserError(f"hyperparameter {repeated[0]!r} is in the space twice; give each its own name")
        wanted = self.names if tuned is None else tuple(tuned)
        for name in wanted:
            self[name]
        self.tuned = tuple(n for n in self.names if n in wanted)
        self._places: dict[str, slice] = {}
        start = 0
        for name in self.tuned:
            self._places[name] = slice(start, start + self[name].width)
            start += self[name].width
        self.n = start

    def __getitem__(self, name: str) -> Hyper:
        """The hyperparameter of that name; UserError naming the nearest one if there is none."""
        for hyper in self.hypers:
            if hyper.name == name:
                return hyper
        raise UserError(unknown("hyperparameter", name, self.names))

    def __repr__(self) -> str:
        return f"HyperSpace({', '.join(self.names)}; tuned: {', '.join(self.tuned) or 'none'})"

    def with_tuned(self, tuned: Sequence[str]) -> HyperSpace:
        """The same hyperparameters, these of them tuned."""
        return HyperSpace(self.hypers, tuned)

    def with_init(self, values: Mapping[str, float]) -> HyperSpace:
        """The same space starting at `values` (natural units) where given."""
        for name in values:
            self[name]
        moved = (replace(h, init=values[h.name]) if h.name in values else h for h in self.hypers)
        return HyperSpace(moved, self.tuned)

    @property
    def places(self) -> Mapping[str, slice]:
        """Which entries of λ each tuned hyperparameter has."""
        return dict(self._places)

    def init(self) -> np.ndarray:
        """Raw λ at the initial values, (n,) float64."""
        return self.raw({name: self[name].init for name in self.tuned})

    def raw(self, values: Mapping[str, Any]) -> np.ndarray:
        """Natural values of every tuned hyperparameter to raw λ, (n,) float64; a number fills a whole vector."""
        lam = np.empty(self.n)
        for name, place in self._places.items():
            if name not in values:
                raise UserError(f"no value for the tuned hyperparameter {name!r}")
            lam[place] = self[name].raw(np.asarray(values[name], dtype=float))
        return lam

    def values(self, lam: Array, xp: Any = np) -> dict[str, Array]:
        """Raw λ (n,) or (B, n) to natural values of ALL hyperparameters, the tuned and the others.

        name -> () or (B,); vectors (size,) or (B, size). Untuned ones come as their `init`, a plain number.
        """
        out: dict[str, Array] = {}
        for hyper in self.hypers:
            place = self._places.get(hyper.name)
            if place is None:
                out[hyper.name] = hyper.clean(hyper.init)
            elif hyper.size is None:
                out[hyper.name] = hyper.value(lam[..., place.start], xp)
            else:  # a slice of the whole would cost autograd a copy of λ's length per use
                out[hyper.name] = hyper.value(lam if hyper.width == self.n else lam[..., place], xp)
        return out

    def plain(self, lam: np.ndarray) -> dict[str, float | int | list[float]]:
        """Raw λ (n,) to natural values as plain Python numbers (lists for vectors), for logs and users."""
        out: dict[str, float | int | list[float]] = {}
        for name, value in self.values(np.asarray(lam, dtype=float)).items():
            hyper = self[name]
            out[name] = hyper.clean(float(value)) if np.ndim(value) == 0 else np.asarray(value).tolist()
        return out

    def spreads(self, default: float = 0.5, decades: float = np.inf) -> np.ndarray:
        """Initial perturbation sd per entry of λ, (n,), raw units: `Hyper.raw_spread` of each."""
        return self._per_entry([self[name].raw_spread(default, decades) for name in self.tuned])

    def bounded(self) -> dict[str, np.ndarray]:
        """Per entry of λ, (n,) each: whether raw space has "both" bounds behind it, one it is "above", or "below"."""
        ends = [self[name].scaled_edges() for name in self.tuned]
        low, high = (self._per_entry([float(np.isfinite(pair[k])) for pair in ends]) > 0 for k in (0, 1))
        return {"both": low & high, "above": low & ~high, "below": ~low & high}

    def reach(self, box: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest raw λ̂, (n,) each: `Hyper.reach` of each, `box` where a hyperparameter names none."""
        ends = [self[name].reach(box) for name in self.tuned]
        return self._per_entry([low for low, _ in ends]), self._per_entry([high for _, high in ends])

    def shared(self) -> np.ndarray:
        """Which entries of λ share one perturbation over a batch, (n,) bool."""
        return self._per_entry([self[name].shared for name in self.tuned]).astype(bool)

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """Natural values of the tuned hyperparameters, uniform between the bounds (in log scale if `log`)."""
        return {name: at_fraction(self[name], rng.random(self[name].size)) for name in self.tuned}

    def to_optuna(self, trial: Any) -> dict[str, Any]:
        """Ask an Optuna trial for a value of every tuned hyperparameter (vectors entry by entry, as 'name[i]')."""
        from hyperopt_hn.search import optuna_bridge

        return optuna_bridge.suggest(self, trial)

    @classmethod
    def from_optuna(cls, distributions: Mapping[str, Any], init: Mapping[str, float] | None = None) -> HyperSpace:
        """The space of Optuna's float and int distributions; starts at `init`, else at the middle (log: geometric).

        Raises UserError for a categorical distribution: a learned response needs a continuous hyperparameter.
        """
        from hyperopt_hn.search import optuna_bridge

        return cls(optuna_bridge.hypers(distributions, init or {}))

    def _per_entry(self, values: Sequence[float]) -> np.ndarray:
        return np.repeat(np.asarray(values, dtype=float), [self[name].width for name in self.tuned])


def at_fraction(hyper: Hyper, fraction: Any) -> Any:
    """The value at a fraction in [0, 1) of the range (of its logarithm if `log`); grid values have equal parts.

    Raises UserError for a range without an end.
    """
    hyper.need_ends()
    low, high = (math.log(x) if hyper.log else x for x in hyper.edges())
    inner = low + (high - low) * fraction
    inner = np.exp(inner) if hyper.log else inner
    if hyper.grid is None:
        return inner
    return np.minimum(hyper.low + hyper.grid * np.floor((inner - hyper.low) / hyper.grid), hyper.top)
