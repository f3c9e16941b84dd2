"""Short prints of what every module of a model puts out, to find the first module at which two passes differ."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from hyperopt_hn.nn.context import anywhere, hyper_layers

PARTS = 32
"""Sums that a tensor's print has."""
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}


class Prints:
    """Inside, each call of a module of `model` leaves its name and prints of its output's tensors, in order."""

    def __init__(self, model: nn.Module) -> None:
        self.found: list[tuple[str, float, Tensor]] = []
        self._names = {module: name for name, module in model.named_modules()}
        self._hooks: list[Any] = []

    def __enter__(self) -> Prints:
        self._hooks = [module.register_forward_hook(self.take) for module in self._names]
        return self

    def __exit__(self, *how: Any) -> None:
        for hook in self._hooks:
            hook.remove()

    def only(self, names: set[str]) -> Prints:
        """Those of the modules of these names."""
        some = Prints(nn.Module())
        some.found = [one for one in self.found if one[0] in names]
        return some

    @torch.no_grad()
    def take(self, module: nn.Module, args: Any, output: Any) -> None:
        """Add the prints of what a module put out."""
        for leaf in _tensors(output):
            if leaf.is_floating_point() and leaf.numel():
                self.found.append((self._names[module], _TOLERANCE.get(leaf.dtype, 5e-2), _print(leaf)))


def parted(one: Prints, two: Prints) -> str | None:
    """The first module whose outputs differ by more than rounding; None where all agree."""
    if not one.found or not two.found:
        return None
    for (name, tolerance, a), (other, _, b) in zip(one.found, two.found, strict=False):
        if name != other:
            return name
        gap, size = (a[:-1] - b[:-1]).abs().max(), torch.maximum(a[-1], b[-1])
        if bool(torch.isfinite(size)) and float(gap) * PARTS**0.5 > tolerance * float(size):
            return name
    return None


def comparable(model: nn.Module, one: Prints, two: Prints) -> tuple[Prints, Prints]:
    """Without what is inside layers that respond, and what only one of the two calls."""
    heads = tuple(f"{name}." if name else "" for name, x in hyper_layers(model) if not anywhere(x))
    counts = [Counter(name for name, *_ in prints.found) for prints in (one, two)]
    both = {name for name in counts[0] if counts[0][name] == counts[1][name]}
    both = {name for name in both if not any(name != head[:-1] and name.startswith(head) for head in heads)}
    return one.only(both), two.only(both)


def _print(y: Tensor) -> Tensor:
    """Sums of every PARTS-th entry over sqrt(N), and the root mean square: (PARTS + 1,)."""
    flat = y.detach().flatten()
    flat = flat if flat.dtype == torch.float64 else flat.float()
    whole = torch.nn.functional.pad(flat, (0, -flat.numel() % PARTS)).reshape(-1, PARTS)
    return torch.cat([whole.sum(0) / flat.numel() ** 0.5, flat.square().mean().sqrt()[None]])


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of a tree, and those that the objects in it hold as attributes (dataclasses, distributions)."""
    found = []
    for leaf in tree_flatten(output)[0]:
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dict__") and not isinstance(leaf, nn.Module):
            found += [value for value in vars(leaf).values() if isinstance(value, Tensor)]
    return found
