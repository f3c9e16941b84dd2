"""What a long run prints: a bar on a terminal (steps or seconds, rate, time left, losses, λ), a line per evaluation."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from hyperopt_hn.runs.display.lines import describe, fitted, most_moved
from hyperopt_hn.runs.display.output import Patient

UNLIMITED = 10**8
"""So many steps mean no limit (a run bounded in seconds): the number is not shown."""

BRIEF = ("train_loss", "tune_loss", "valid_loss", "hypers")
"""What of a record is beside a bar."""

BAR = 20  # columns of the bar at least
WIDE = 110  # columns of a terminal that has space for whole names, rate and times
STATISTICS = 48  # columns that these take

Derived = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""A record -> further numbers to print beside it, such as perplexities."""


def nothing(record: Mapping[str, Any]) -> dict[str, float]:
    """No further numbers."""
    return {}


@dataclass(frozen=True)
class Budget:
    """A limit in seconds, 0 for none, and the clock that it is measured on."""

    seconds: float = 0.0
    clock: Callable[[], float] = lambda: 0.0


class Progress:
    """A bar on standard error where that is a terminal, evaluation lines on standard output.

    `name` heads every line; `total` counts all steps (training and tuning); `quiet` prints nothing at all; `derived`
    gives further numbers to print beside a record's own. Under a `budget` in seconds the bar counts seconds. On a
    terminal a line has its columns; elsewhere it has the whole record. Nothing that cannot be printed ends a run.
    """

    def __init__(
        self,
        name: str,
        total: int,
        start: int = 0,
        quiet: bool = False,
        derived: Derived = nothing,
        budget: Budget | None = None,
    ) -> None:
        self.name, self.total, self.quiet, self.derived = name, total, quiet, derived
        self._budget = budget if budget is not None and budget.seconds > 0 else None
        self._first: Mapping[str, Any] | None = None
        self._bar = self._make_bar(start)

    def _make_bar(self, start: int) -> Any:
        error, budget = Patient(sys.stderr), self._budget
        most = budget.seconds if budget else self.total if self.total < UNLIMITED else None
        done = min(budget.clock(), budget.seconds) if budget else start
        if "ipykernel" in sys.modules:  # a notebook
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # without ipywidgets the bar is text, and says so to every newcomer
                from tqdm.auto import tqdm as automatic

            self._space = WIDE
            return automatic(
                total=most, initial=done, desc=self.name, unit="s" if budget else "step", disable=self.quiet
            )
        columns = _columns(error)
        wide = columns >= WIDE
        name = self.name if wide else self._arm
        self._space = columns - len(name) - len(": 100%|") - BAR - (STATISTICS if wide else 12)
        return tqdm(
            total=most, initial=done, desc=name, unit="step", file=error, dynamic_ncols=True, mininterval=0.2,
            disable=self.quiet or not error.isatty(),
            bar_format=None if most is None else _bar_format(wide, budget is not None),
        )  # fmt: skip

    def step(self) -> None:
        """One step was done."""
        if self._budget and not self._bar.disable:
            self._bar.update(max(0.0, min(self._budget.clock(), self._budget.seconds) - self._bar.n))
        else:
            self._bar.update()

    def evaluated(self, record: Mapping[str, Any]) -> None:
        """Print one line for a record and show its numbers beside the bar."""
        derived, now = self.derived(record), record.get("hypers", {})
        self._first = now if self._first is None else self._first
        moved = most_moved(self._first, now)
        brief = {key: record[key] for key in BRIEF if key in record}
        self._bar.set_postfix_str(fitted(brief, derived, moved, self._space), refresh=False)
        most = "" if self._budget or self.total >= UNLIMITED else f"/{self.total}"
        step = f"step {record['step']}{most}"
        if not (out := Patient(sys.stdout)).isatty():
            more = "".join(f"{name} {value:.5g}  " for name, value in derived.items())
            return self.say(f"{self.name} {step}  {more}{describe(record)}")
        columns = _columns(out)
        compact = columns < WIDE
        head = f"{self._arm} {record['step']}  " if compact else f"{self.name} {step}  "
        self.say(head + fitted(record, derived, moved, columns - len(head) - 1, compact))

    @property
    def _arm(self) -> str:
        return self.name.rsplit("/", 1)[-1]

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if not self.quiet:
            out = Patient(sys.stdout)
            self._bar.clear()
            out.write(f"{line}\n")
            out.flush()
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def _columns(stream: Patient) -> int:
    """Of the terminal; 80 where that is not known."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def _bar_format(wide: bool, seconds: bool) -> str:
    """The bar comes before everything that a narrow terminal may cut off."""
    bar = "{desc}: {percentage:3.0f}%|{bar:" + str(BAR) + "}| "
    if seconds:
        return bar + ("{n:.0f}/{total:.0f} s" if wide else "{n:.0f}/{total:.0f}s") + "{postfix}"
    return bar + ("{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]" if wide else "<{remaining}") + "{postfix}"
