"""convert(kinds={Class: {"weight": 0, "bias": None}}): a user's word on how the parameters of a class respond."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from hyperopt_hn.errors import UserError

Rule = Mapping[str, int | None]
"""Parameter -> the axis of its units, along which it is scaled; None: it moves entry by entry. Others stay plain."""

RULED = "kinds leaves it plain"


class KindRules:
    """The rules by class; a module has that of the nearest of its classes."""

    def __init__(self, kinds: Mapping[type[nn.Module], Rule]) -> None:
        self._kinds = dict(kinds)
        self._met: set[type[nn.Module]] = set()
        for kind, rule in self._kinds.items():
            if not isinstance(kind, type) or not issubclass(kind, nn.Module) or not isinstance(rule, Mapping):
                raise UserError(f"kinds maps classes of modules to rules, {{Class: {{'weight': 0}}}}; got {kind!r}")

    def of(self, module: nn.Module) -> Rule | None:
        """The module's rule; None where it has none. Raises UserError for a parameter or an axis that it lacks."""
        kind = next((k for k in type(module).__mro__ if k in self._kinds), None)
        if kind is None:
            return None
        self._met.add(kind)
        own = dict(module.named_parameters(recurse=False))
        for name, axis in self._kinds[kind].items():
            where = f"kinds: {name!r} of {kind.__name__}"
            if name not in own and module._parameters.get(name, own) is not None:
                raise UserError(f"{where} is none of its own parameters; it has {', '.join(own) or 'none'}")
            if name in own and axis is not None and not 0 <= axis < own[name].dim():
                raise UserError(f"{where} has no axis {axis}; its shape is {tuple(own[name].shape)}")
        return self._kinds[kind]

    def unnamed(self, module: nn.Module) -> dict[str, int]:
        """The sizes of the parameters that a module's rule, if it has one, does not name: these stay plain."""
        rule = self.of(module)
        own = module.named_parameters(recurse=False)
        return {} if rule is None else {k: p.numel() for k, p in own if k not in rule and p.requires_grad}

    def check(self) -> None:
        """Raise UserError for a class of which the model has no module."""
        for kind in self._kinds:
            if kind not in self._met:
                raise UserError(f"kinds: {kind.__name__} matches no module of this model")
