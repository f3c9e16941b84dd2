"""A run's records as a CSV file that grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperopt_hn.files import atomic
from hyperopt_hn.runs.display import tables
from hyperopt_hn.runs.sinks.delivery import Record, numbers


@dataclass(eq=False)
class CSV:
    """The records as a table that grows, `name` in the run's directory."""

    name: str = "record.csv"
    _path: Path = field(init=False, repr=False, default=Path())
    _rows: list[dict[str, float]] = field(init=False, repr=False, default_factory=list)
    _names: list[str] = field(init=False, repr=False, default_factory=list)

    def open(self, run: Path, records: Sequence[Record]) -> int:
        """Write anew what the log holds."""
        self._path, self._rows = run / self.name, [numbers(entry) for entry in records]
        self._names = list(dict.fromkeys(name for row in self._rows for name in row))
        self._write()
        return len(records)

    def record(self, entry: Record) -> None:
        """Append a row; a new column is one for all rows."""
        row = numbers(entry)
        self._rows.append(row)
        if new := [name for name in row if name not in self._names]:
            self._names += new
            self._write()
        else:
            with open(self._path, "a", encoding="utf-8", opener=atomic.no_link) as file:
                file.write(tables.csv_text([], [self._cells(row)]))

    def close(self) -> None:
        """Nothing is open."""

    def _cells(self, row: Mapping[str, float]) -> list[Any]:
        return [tables.exact(row.get(name, float("nan"))) for name in self._names]

    def _write(self) -> None:
        text = tables.csv_text(tables.headings(self._names), [self._cells(row) for row in self._rows])
        atomic.write_atomic(self._path, lambda file: file.write(text.encode()))
