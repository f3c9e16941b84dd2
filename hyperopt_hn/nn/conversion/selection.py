"""Which modules `convert` takes, and which hyperparameters the rates of dropouts are, by name, pattern or class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.layers.dropout import HyperChannelDropout, HyperDropout, HyperLockedDropout, LockedDropout
from hyperopt_hn.nn.layers.stochastic_depth import HyperStochasticDepth, rate_name
from hyperopt_hn.space import HyperSpace

Select = Sequence[str | type[nn.Module]]
"""Names or patterns of modules ("layer1", "*.bn?"; a name means all below it too), or module classes."""

CHANNEL = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
DROPOUTS = (nn.Dropout, LockedDropout, *CHANNEL)


def drops(module: nn.Module) -> bool:
    """Whether a module drops at a rate: a dropout, or stochastic depth."""
    return isinstance(module, DROPOUTS) or rate_name(module) is not None


class LayerSelection:
    """What `include` and `exclude` say; remembers which of them met something."""

    def __init__(self, include: Select, exclude: Select) -> None:
        self.include, self.exclude = _listed(include), _listed(exclude)
        self._used: set[object] = set()

    def reason(self, names: Sequence[str], module: nn.Module) -> str | None:
        """Why this module is not chosen, None if it is."""
        included = [s for s in self.include if _fits(s, names, module)]
        excluded = [s for s in self.exclude if _fits(s, names, module)]
        self._used.update(included, excluded)
        if excluded:
            return "excluded"
        return "not included" if self.include and not included else None

    def check(self) -> None:
        """UserError for a selector that met nothing convertible."""
        for selector in (*self.include, *self.exclude):
            if selector not in self._used:
                raise UserError(f"{_shown(selector)} matches no module of the model; see its named_modules()")


class RateNames:
    """The `dropout` mapping of `convert`: patterns to names of hyperparameters, each of which must be used."""

    def __init__(self, space: HyperSpace, mapping: Mapping[str, str]) -> None:
        self.mapping = dict(mapping)
        for name in self.mapping.values():
            space[name]
        self._used: set[str] = set()
        self._seen: list[str] = []
        self._off: list[str] = []

    def dropout_for(self, names: Sequence[str], module: nn.Module) -> nn.Module | None:
        """The hyper dropout that replaces a plain one, if its name is mapped."""
        if rate_name(module) is not None:  # "*" means dropouts: a branch's rate is another thing
            self._seen += names
            found = self._find(names, exact=False, all_too=False)
            return None if found is None else HyperStochasticDepth(found, module).train(module.training)
        if not isinstance(module, DROPOUTS):
            return None
        self._seen += names
        off = not module.p
        hyper = self._find(names, exact=False, all_too=not off)
        self._off += names if off and hyper is None else []
        if hyper is None:
            return None
        if isinstance(module, CHANNEL):
            return HyperChannelDropout(hyper, module.inplace, type(module)).train(module.training)
        if isinstance(module, LockedDropout):
            return HyperLockedDropout(hyper, module.batch_first).train(module.training)
        return HyperDropout(hyper, module.inplace).train(module.training)

    def wants(self, names: Sequence[str], module: nn.Module) -> bool:
        """Whether a rate inside this layer is mapped, so that even a space that tunes nothing needs it converted."""
        return any(key in self.mapping for name in names for key in (name, *_weights(name, type(module)))) or (
            isinstance(module, (nn.LSTM, nn.MultiheadAttention))
            and module.dropout > 0
            and any(_fits(pattern, names, module) for pattern in self.mapping)
        )

    def apply(self, names: Sequence[str], kind: type[nn.Module], layer: Any) -> None:
        """Name the rates inside the new hyper layer of a `kind` of torch's."""
        if kind in (nn.LSTM, nn.MultiheadAttention):
            layer.dropout_name = self._find(names, exact=layer.dropout == 0)
        elif kind is nn.Embedding:
            layer.dropout = self._find(names, exact=True)
        if kind in _DROPPED:
            layer.dropconnect = self._find([key for name in names for key in _weights(name, kind)], exact=True)

    def check(self) -> None:
        """UserError for a pattern that met nothing."""
        for pattern in self.mapping:
            if pattern not in self._used:
                off = self._off if pattern == "*" else []
                if off:
                    raise UserError(
                        f"dropout pattern {pattern!r} matches only rates that are 0 ({', '.join(off[:3])}), which "
                        "it leaves off: name them to tune them"
                    )
                there = ", ".join(self._seen) or "none"
                raise UserError(f"dropout pattern {pattern!r} matches nothing; dropout modules here: {there}")

    def _find(self, names: Sequence[str], exact: bool, all_too: bool = True) -> str | None:
        """The hyperparameter of one of these names: by name, unless `exact` by pattern, with "*" if `all_too`."""
        for pattern, hyper in self.mapping.items():
            fits = not exact and (all_too or pattern != "*") and any(fnmatchcase(name, pattern) for name in names)
            if pattern in names or fits:
                self._used.add(pattern)
                return hyper
        return None


_DROPPED: dict[type[nn.Module], str] = {nn.Linear: "weight", nn.LSTM: "weight_hh"}
"""Which weight of a layer DropConnect takes."""


def _weights(name: str, kind: type[nn.Module]) -> tuple[str, ...]:
    leaf = _DROPPED.get(kind)
    return () if leaf is None else (f"{name}.{leaf}" if name else leaf,)


def _fits(selector: str | type[nn.Module], names: Sequence[str], module: nn.Module) -> bool:
    if not isinstance(selector, str):
        return isinstance(module, selector)
    return any(fnmatchcase(name, selector) or name.startswith(selector + ".") for name in names)


def _listed(select: Select) -> tuple[str | type[nn.Module], ...]:
    return (select,) if isinstance(select, (str, type)) else tuple(select)


def _shown(selector: str | type[nn.Module]) -> str:
    return repr(selector) if isinstance(selector, str) else selector.__name__
