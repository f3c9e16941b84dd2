"""A record in one line: all of it, or what matters most in the columns of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FIRST = ("valid_loss", "test_loss")
"""What a narrow line shows before all else; whatever remains is shown where there is space."""

SHOWN = 30
"""At most so many hyperparameters are in a line (VGG16's 26 are); the record has them all."""

MOVED = 3
"""So many hyperparameters, those that moved most, are in a line that must fit a terminal."""


def describe(record: Mapping[str, Any]) -> str:
    """A record's losses and hyperparameters in one line."""
    words = _hypers(record)
    shown = [*words[:SHOWN], f"… {len(words) - SHOWN} more"] if len(words) > SHOWN else words
    return f"{'  '.join(_losses(record, 5).values())}  {'  '.join(shown)}".strip()


def fitted(
    record: Mapping[str, Any], derived: Mapping[str, float], moved: Iterable[str], width: int, compact: bool = False
) -> str:
    """At most `width` columns of a record: further numbers, first losses, the most moved hyperparameters, the rest.

    What does not fit is left out whole; the order is that of `describe`. `compact`: "valid 0.31" for "valid_loss
    0.31234".
    """
    digits = 4 if compact else 5
    more = {name: f"{name} {_number(value, digits)}" for name, value in derived.items()}
    found = _losses(record, digits)
    hypers = record.get("hypers")
    hypers = hypers if isinstance(hypers, Mapping) else {}
    chosen = [f"{name}={_short(hypers[name], 3 if compact else 4)}" for name in moved if name in hypers][:MOVED]
    rest = len(hypers) - len(chosen)
    last = [f"(+{rest} λ)"] if rest > 0 and chosen else []
    order = [*more.values(), *found.values(), *chosen, *last]
    first = [found[name] for name in FIRST if name in found]
    kept: set[str] = set()
    left = width
    for word in dict.fromkeys([*list(more.values())[:1], *first, *chosen, *order]):
        if len(_trimmed(word, compact)) <= left:
            kept.add(word)
            left -= len(_trimmed(word, compact)) + 2
    if not kept.issuperset(chosen):
        kept.difference_update(last)
    return "  ".join(_trimmed(word, compact) for word in order if word in kept)


def most_moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names of hyperparameters by how far they moved, farthest first: |now - before| relative to the larger one."""

    def distance(name: str) -> float:
        a, b = _middle(before.get(name)), _middle(now[name])
        return abs(b - a) / max(abs(a), abs(b), 1e-12)

    return sorted(now, key=lambda name: -distance(name))


def _losses(record: Mapping[str, Any], digits: int) -> dict[str, str]:
    """Name -> "name value" of every loss, error and accuracy, in the record's order."""
    wanted = ("loss", "mse", "accuracy")
    return {name: f"{name} {_number(value, digits)}" for name, value in record.items() if name.endswith(wanted)}


def _trimmed(word: str, compact: bool) -> str:
    return word.replace("_loss ", " ") if compact else word


def _hypers(record: Mapping[str, Any]) -> list[str]:
    hypers = record.get("hypers")
    return [f"{name}={_short(value)}" for name, value in hypers.items()] if isinstance(hypers, Mapping) else []


def _middle(value: Any) -> float:
    value = value.get("mean") if isinstance(value, Mapping) else value
    return float(value) if isinstance(value, (int, float)) else 0.0


def _short(value: Any, digits: int = 4) -> str:
    if isinstance(value, Mapping):
        return "..".join(_number(value.get(key), 3) for key in ("min", "mean", "max"))
    return _number(value, digits)


def _number(value: Any, digits: int) -> str:
    """So many digits of a number; "nan" for what is recorded where a metric was not finite."""
    return f"{value:.{digits}g}" if isinstance(value, (int, float)) else "nan"
