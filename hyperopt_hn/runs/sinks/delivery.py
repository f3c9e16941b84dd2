"""What a sink is, and how the records of a run are handed to several of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Record = Mapping[str, Any]


class Sink(Protocol):
    """One more place for a run's records."""

    def open(self, run: Path, records: Sequence[Record]) -> int:
        """Get ready for a run's directory, whose log holds these records already; returns how many of them it has.

        It is handed the others next. More than there are: it had records that a killed run made after its checkpoint
        and cannot take back; as many of the coming ones, which are the same again, are not handed over.
        """
        ...

    def record(self, entry: Record) -> None:
        """The next record: "step", losses and metrics by name, "hypers" by name; None where a metric was not finite."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class Delivery:
    """Hands the records of one run to its sinks; a sink that fails is left out with a warning, and the run goes on."""

    def __init__(self, sinks: Sequence[Sink], run: Path, records: Sequence[Record]) -> None:
        self._surplus = {id(sink): 0 for sink in sinks}
        self._waiting: list[Record] = []
        self._sinks: list[Sink] = []
        for sink in sinks:
            has = sink.open(run, records)
            self._sinks.append(sink)
            self._surplus[id(sink)] = max(has - len(records), 0)
            for entry in records[has:]:
                self._hand(sink, entry)

    def add(self, entry: Record) -> None:
        """A record that no checkpoint covers yet."""
        self._waiting.append(entry)

    def flush(self) -> None:
        """A checkpoint covers all that was added."""
        for entry in self._waiting:
            for sink in list(self._sinks):
                self._hand(sink, entry)
        self._waiting.clear()

    def close(self) -> None:
        """Nothing follows."""
        for sink in list(self._sinks):
            self._try(sink, sink.close)
        self._sinks.clear()

    def _hand(self, sink: Sink, entry: Record) -> None:
        if self._surplus[id(sink)]:
            self._surplus[id(sink)] -= 1
        elif sink in self._sinks:
            self._try(sink, lambda: sink.record(entry))

    def _try(self, sink: Sink, call: Any) -> None:
        try:
            call()
        except Exception as error:  # a tracker's network, a full disk: not the training's business
            self._sinks.remove(sink)
            name = type(sink).__name__
            warnings.warn(f"the sink {name} failed ({error}); the run goes on without it", stacklevel=2)


def numbers(entry: Record, prefix: str = "") -> dict[str, float]:
    """Every number of a record: "step", "valid_loss", "hypers/dropout0", a vector's "hypers/decay/mean"."""
    found: dict[str, float] = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            found[prefix + name] = value
    return found
