"""What `convert` did with a model, in shares of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LEAST = 0.5
"""A model of which a smaller share of the parameters responds deserves a warning."""
NAMED = 3
"""Layers that a group is shown with."""


class FewRespondWarning(UserWarning):
    """Less than half of a model's parameters respond to the hyperparameters."""


@dataclass(frozen=True)
class Report:
    """What `convert` did: module name -> what it became, and module name -> why it was left.

    `print(report)` sums up; `report.details` names every module. `sizes`: module name -> parameters of its own that
    are trained, each counted once; `kinds`: module name -> the plain module's class.
    """

    converted: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def responding(self) -> tuple[int, int]:
        """How many of the plain model's parameters to be trained have a response, and how many there are."""
        return sum(self.sizes.get(name, 0) for name in self.converted), sum(self.sizes.values())

    @property
    def share(self) -> float:
        """The responding share of the parameters, 1 where there are none."""
        some, every = self.responding
        return some / every if every else 1.0

    def without(self, name: str, reason: str) -> Report:
        """The same with one layer left after all."""
        converted = {k: v for k, v in self.converted.items() if k != name}
        return Report(converted, {**self.left, name: reason}, self.sizes, self.kinds)

    def without_part(self, name: str, part: str, size: int, reason: str) -> Report:
        """The same with one parameter of a layer, `size` numbers, left after all."""
        sizes = {**self.sizes, name: self.sizes.get(name, size) - size, part: size}
        return Report(self.converted, {**self.left, part: reason}, sizes, {**self.kinds, part: "parameter"})

    @property
    def details(self) -> str:
        """Every module with what it became, or why it was left."""
        done = [f"  {_shown(name)}: {what}" for name, what in self.converted.items()]
        left = [f"  {_shown(name)}: {why}" for name, why in self.left.items()]
        return "\n".join(["converted:", *(done or ["  nothing"]), "left as it was:", *(left or ["  nothing"])])

    @property
    def first_line(self) -> str:
        """As in "responding: 99.8 % of 22.1 M parameters in 74 layers; dropout tuned in 12"."""
        every = self.responding[1]
        tuned = sum("Dropout" in what or "StochasticDepth" in what for what in self.converted.values())
        layers = len(self.converted) - tuned
        words = f"responding: {percent(self.share)} of {counted(every)} parameters in {layers} layers"
        return f"{words}; dropout tuned in {tuned}" if tuned else words

    def __str__(self) -> str:
        groups: dict[tuple[str, str], list[str]] = {}
        for name, why in self.left.items():
            groups.setdefault((why, self.kinds.get(name, "module")), []).append(name)
        every = self.responding[1]
        lines = [self.first_line, *(["left as it was:"] if groups else [])]
        for (why, kind), names in sorted(groups.items(), key=lambda group: -self._size(group[1])):
            size = self._size(names)
            share = f"{percent(size / every)} in " if size else ""
            shown = ", ".join(map(_shown, names[:NAMED])) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")
            lines.append(f"  {share}{len(names)} {kind} ({shown}): {why}")
        return "\n".join(lines)

    def _size(self, names: list[str]) -> int:
        return sum(self.sizes.get(name, 0) for name in names)


def counted(number: int) -> str:
    """As in 22.1 M, 3.4 k, 912."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def percent(share: float) -> str:
    """As in 99.8 %; what is not all is never shown as 100 %, and what is something never as 0 %."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"


def _shown(name: str) -> str:
    return name or "(the model)"
