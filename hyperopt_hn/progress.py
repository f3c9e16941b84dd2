"""What a long run says: a bar on a terminal (steps, rate, time left, λ, losses) and one line per evaluation always."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

SHOWN = 6
"""At most so many hyperparameters stand in a line; the record has them all."""


class Progress:
    """A bar on standard error where that is a terminal, evaluation lines on standard output.

    `name` heads every line; `total` counts steps of either kind; `quiet` says nothing at all.
    """

    def __init__(self, name: str, total: int, start: int = 0, quiet: bool = False) -> None:
        self.name, self.total, self.quiet = name, total, quiet
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=start, desc=name, unit="step", disable=hidden, dynamic_ncols=True)

    def step(self) -> None:
        """One step was done."""
        self._bar.update()

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Print one line for a record and show its numbers beside the bar."""
        text = describe(record)
        self._bar.set_postfix_str(text, refresh=False)
        self.say(f"{self.name} step {record['step']}/{self.total}  {text}")

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
    words = [f"{key} {value:.5g}" for key, value in record.items() if key.endswith(("loss", "mse", "accuracy"))]
    hypers = [f"{name}={_short(value)}" for name, value in record.get("hypers", {}).items()]
    if len(hypers) > SHOWN:
        hypers = [*hypers[:SHOWN], f"… {len(hypers) - SHOWN} more"]
    return "  ".join(words + hypers)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['min']:.3g}..{value['mean']:.3g}..{value['max']:.3g}"
    return f"{value:.4g}"
