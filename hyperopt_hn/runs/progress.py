"""What a long run says: a bar on a terminal (steps, rate, time left, λ, losses) and one line per evaluation always."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

BRIEF = ("train_loss", "tune_loss", "valid_loss")
"""The losses that a bar shows beside the hyperparameters."""

UNLIMITED = 10**8
"""So many steps mean no limit (a run bounded in seconds): the number is not shown."""

SHOWN = 30
"""At most so many hyperparameters stand in a line (VGG16's 26 do); the record has them all."""

Derived = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""A record -> further numbers to say beside it, such as perplexities."""


def nothing(record: Mapping[str, Any]) -> dict[str, float]:
    """No further numbers."""
    return {}


class Progress:
    """A bar on standard error where that is a terminal, evaluation lines on standard output.

    `name` heads every line; `total` counts all steps (training and tuning); `quiet` prints nothing at all; `derived`
    gives further numbers to print beside a record's own.
    """

    def __init__(self, name: str, total: int, start: int = 0, quiet: bool = False, derived: Derived = nothing) -> None:
        self.name, self.total, self.quiet, self.derived = name, total, quiet, derived
        hidden = quiet or not sys.stderr.isatty()
        most = total if total < UNLIMITED else None
        self._bar = tqdm(total=most, initial=start, desc=name, unit="step", disable=hidden, dynamic_ncols=True)

    def step(self) -> None:
        """One step was done."""
        self._bar.update()

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Print one line for a record and show its numbers beside the bar."""
        more = "".join(f"{name} {value:.5g}  " for name, value in self.derived(record).items())
        self._bar.set_postfix_str(f"{more}{_losses(record, BRIEF)}  {_hypers(record)}", refresh=False)
        most = f"/{self.total}" if self.total < UNLIMITED else ""
        self.say(f"{self.name} step {record['step']}{most}  {more}{describe(record)}")

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if not self.quiet:
            tqdm.write(line, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def describe(record: Mapping[str, Any]) -> str:
    """A record's losses and hyperparameters in one line."""
    return f"{_losses(record, tuple(record))}  {_hypers(record)}".strip()


def _losses(record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    chosen = [name for name in names if name in record and name.endswith(("loss", "mse", "accuracy"))]
    return "  ".join(f"{name} {_number(record[name], 5)}" for name in chosen)


def _hypers(record: Mapping[str, Any]) -> str:
    hypers = record.get("hypers")
    words = [f"{name}={_short(value)}" for name, value in hypers.items()] if isinstance(hypers, Mapping) else []
    return "  ".join([*words[:SHOWN], f"… {len(words) - SHOWN} more"] if len(words) > SHOWN else words)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "..".join(_number(value.get(key), 3) for key in ("min", "mean", "max"))
    return _number(value, 4)


def _number(value: Any, digits: int) -> str:
    """So many digits of a number; "nan" for what is recorded where a metric was not finite."""
    return f"{value:.{digits}g}" if isinstance(value, (int, float)) else "nan"
