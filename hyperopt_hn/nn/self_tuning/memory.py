"""A run that leaves no files: what `alternate` asks of a log, held in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperopt_hn.runs.team import ALONE, Team


class Memory:
    """Records, the best state, the result and the arrays of one run; nothing is written."""

    def __init__(self, team: Team = ALONE) -> None:
        self.team = team
        self.records: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {}
        self.arrays: dict[str, Any] = {}
        self.best_state: Mapping[str, Any] | None = None
        self._wall, self._processor = time.monotonic(), time.process_time()

    @property
    def path(self) -> Path:
        """Nowhere."""
        return Path("memory")

    @property
    def resumed(self) -> dict[str, Any] | None:
        """Nothing to go on from."""
        return None

    def seconds(self) -> float:
        """Wall-clock seconds so far."""
        return time.monotonic() - self._wall

    def cpu_seconds(self) -> float:
        """Processor seconds so far."""
        return time.process_time() - self._processor

    def record(self, entry: Mapping[str, Any]) -> None:
        """Keep an evaluation."""
        self.records.append(dict(entry))

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Nothing to do: this run cannot be resumed."""

    def best(self, state: Mapping[str, Any]) -> None:
        """Keep the best state."""
        self.best_state = state

    def finish(self, result: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Keep the result and the arrays."""
        self.result = {**result, "seconds": self.seconds(), "cpu_seconds": self.cpu_seconds()}
        self.arrays = dict(arrays)

    def close(self) -> None:
        """Nothing to close."""
