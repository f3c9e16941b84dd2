"""The log of a process that writes none: every rank but the first of a run that several processes make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperopt_hn.config import described
from hyperopt_hn.runs.team import ALONE, Team


@described
@dataclass(frozen=True)
class NullLog:
    """What `alternate` asks of a log, without a file: the state to go on from and the clock that all agree on."""

    path: Path
    resumed: dict[str, Any] | None = None
    agree: Callable[[float], float] = float
    """What the processes make of their clocks (see `RunLog.agree`)."""
    team: Team = ALONE
    """How the processes stop together."""

    def seconds(self) -> float:
        """What the processes agree on."""
        return self.agree(0.0)

    def cpu_seconds(self) -> float:
        """None of its own."""
        return 0.0

    def record(self, entry: Mapping[str, Any]) -> None:
        """Nothing."""

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Nothing."""

    def best(self, state: Mapping[str, Any]) -> None:
        """Nothing."""

    def finish(self, result: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
