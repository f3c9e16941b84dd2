"""Any module's own parameters respond, each by itself: a matrix is gated, a vector moves; the module stays as it is.

A parameter with one axis longer than 1 becomes p + V h, one number per entry and hyperparameter; one with more axes is
scaled along one of them, (1 + S h) ⊙ p, MacKay et al.'s gate. Neither needs to know what the module computes: torch's
functions that read such a parameter answer for every example's λ (see `reading`). The module keeps its object, its
class (as a base), methods, hooks and parameters. h is the response input, (n,) or (B, n).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from torch import Tensor, nn

from hyperopt_hn.nn.context import Home
from hyperopt_hn.nn.layers import squares
from hyperopt_hn.nn.layers.affine_response import Gain, new_parameter, reset_gain
from hyperopt_hn.nn.layers.by_parameter import entrywise, handlers, recurrent  # noqa: F401  they register themselves
from hyperopt_hn.nn.layers.by_parameter.inside_at import acting
from hyperopt_hn.nn.layers.by_parameter.movement import PREFIX, axis_of, moving
from hyperopt_hn.nn.layers.in_place import restored
from hyperopt_hn.nn.layers.plain import Options

NEEDED = ("home", "num_hyper", "plain", "plain_class", "weights", "norms", "reset_response", "acting", "anywhere")
"""Names that a module must not use itself."""


class ByParameter(nn.Module):
    """What a module becomes whose parameters respond by themselves: a subclass of this and of its own class."""

    home: Home
    num_hyper: int
    plain_class: type[nn.Module]
    response_gain: Gain
    response_off: frozenset[str]
    response_axes: dict[str, int | None]
    anywhere: ClassVar[bool] = True
    response_attributes: ClassVar[tuple[str, ...]] = (
        "home", "num_hyper", "plain_class", "response_gain", "response_kept", "response_off", "response_axes",
        "response_at_once",
    )  # fmt: skip
    """Those of an instance that it has only while it responds."""
    acting = staticmethod(acting)

    def plain(self) -> nn.Module:
        """The module as it was, with the same parameters, beside this one."""
        twin = restored(self)
        twin._parameters.update(vars(self)["response_kept"] or {})
        return twin

    def reset_response(self) -> None:
        """The response alone."""
        for one in moving(self):
            reset_gain(one.response, self.response_gain)

    def weights(self, h: Tensor) -> dict[str, Tensor]:
        """The parameters at one h (n,), by name."""
        return {one.name: one.own + one.change(h) for one in moving(self)}

    def norms(self) -> dict[str, squares.Quadratic]:
        """|p(λ)|² in h of the parameters that are gated, by name."""
        gated = ((one, one.axis) for one in moving(self))
        return {one.name: squares.gated(one.own, one.response, axis) for one, axis in gated if axis is not None}

    def get_parameter(self, target: str) -> nn.Parameter:
        """As nn.Module's; never what stands for a parameter at some λ."""
        kept: dict[str, nn.Parameter] = vars(self).get("response_kept") or {}
        return kept[target] if target in kept else super().get_parameter(target)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copied and pickled by its own class, which can be found by name, as this one cannot."""
        return _made_again, (self.plain_class,), vars(self)


def _made_again(kind: Any) -> nn.Module:
    return object.__new__(class_for(kind))


@cache
def class_for(kind: Any) -> type[ByParameter]:
    """The subclass of a module's class whose parameters respond."""
    made: type[ByParameter] = type(kind.__name__, (ByParameter, kind), {"__module__": kind.__module__})
    return made


def respond_by_parameter(
    module: nn.Module, options: Options, at_once: bool = False, axes: Mapping[str, int | None] | None = None
) -> nn.Module:
    """The very module, its own parameters (not those of the modules inside it) responding.

    `at_once`: to one λ for a batch alone. `axes`: these parameters alone, scaled along these axes (None: by entries).
    """
    kind: Any = type(module)
    home = Home(None, options.num_hyper)
    added = {"home": home, "num_hyper": options.num_hyper, "plain_class": kind, "response_gain": options.gain}
    vars(module).update(added, response_kept=None, response_off=frozenset(), response_axes={}, response_at_once=at_once)
    for name, own in list(module._parameters.items()):
        unmoved = name == "weight_v" or (name == "original1" and "original0" in module._parameters)  # of weight_norm
        unmoved = unmoved if axes is None else name not in axes
        if own is not None and not unmoved and own.requires_grad and own.is_floating_point() and own.numel():
            first = next(key for key, p in module._parameters.items() if p is own)  # under another name too
            axis = axis_of(module, own) if axes is None else axes[first if first in axes else name]
            axis = vars(module)["response_axes"].setdefault(first, axis)
            vars(module)["response_axes"][name] = axis
            rows = own.numel() if axis is None else own.shape[axis]
            known = module._parameters.get(PREFIX + first)
            made_now = new_parameter((rows, options.num_hyper), own) if known is None else known
            module.register_parameter(PREFIX + name, made_now)
    made: Any = module
    made.__class__ = class_for(kind)
    made.reset_response()
    return module
