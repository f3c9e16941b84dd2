"""Where a run's records go beside log.jsonl: TensorBoard, a CSV that grows, an experiment tracker.

    RunLog("runs/digits", config, sinks=[TensorBoard(), CSV()])

A sink gets every record exactly once, in order, also when the run is killed and resumed: a record is handed over
when a checkpoint covers it, and a resumed run hands over what is lacking.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hyperopt_hn.config import described
from hyperopt_hn.errors import UserError
from hyperopt_hn.files import atomic
from hyperopt_hn.runs.display import tables

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


@dataclass(eq=False)
class TensorBoard:
    """TensorBoard scalars, "valid_loss", "hypers/dropout0", … by step, in `folder` of the run's directory.

    Needs the package tensorboard (and no torch). Raises UserError where it is not installed.
    """

    folder: str = "tensorboard"
    _count: _Count = field(init=False, repr=False)
    _writer: Any = field(init=False, repr=False, default=None)
    _first: bool = field(init=False, repr=False, default=True)

    def __post_init__(self) -> None:
        _need("tensorboard", "TensorBoard()")

    def open(self, run: Path, records: Sequence[Record]) -> int:
        """Of more events than the log has records the later ones are taken back."""
        self._count = _Count(run / self.folder)
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer, self._first = EventFileWriter(str(run / self.folder)), True
        return self._count.at_most(len(records))

    def record(self, entry: Record) -> None:
        """Add a record's numbers."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary

        step, now = int(entry["step"]), time.time()
        if self._first:  # readers drop what an earlier sitting wrote for this step and later ones
            start = SessionLog(status=SessionLog.START)
            self._writer.add_event(Event(wall_time=now, step=step, session_log=start))
            self._first = False
        values = [Summary.Value(tag=name, simple_value=x) for name, x in numbers(entry).items() if name != "step"]
        self._writer.add_event(Event(wall_time=now, step=step, summary=Summary(value=values)))
        self._writer.flush()
        self._count.up()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


@described
@dataclass(eq=False)
class Tracker:
    """An experiment tracker with the common calls `init`, `log` and `finish`: trackio, wandb and their kind.

    `module` is imported when a run begins; UserError where it is not installed. A resumed run goes on with the
    tracker's run of the same name. A kill in the instant between the tracker's call and its count repeats one record,
    under the same step.
    """

    module: str
    """What is imported, such as "trackio" or "wandb"."""
    project: str
    name: str | None = None
    """The run's name; None: its directory's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `init`."""
    _count: _Count = field(init=False, repr=False)
    _calls: Any = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        _need(self.module, f"Tracker({self.module!r})")

    def open(self, run: Path, records: Sequence[Record]) -> int:
        """Begin or resume the tracker's run."""
        self._calls = importlib.import_module(self.module)
        self._count = _Count(run / f".{self.module}")
        config = atomic.read_json(run / "config.json")
        start = {"project": self.project, "name": self.name or run.name, "config": config, "resume": "allow"}
        self._calls.init(**{**start, **self.options})
        return self._count.value if records else self._count.at_most(0)

    def record(self, entry: Record) -> None:
        """Log a record's numbers at its step."""
        scalars = numbers(entry)
        step = int(scalars.pop("step"))
        self._calls.log(scalars, step=step)
        self._count.up()

    def close(self) -> None:
        """Finish the tracker's run."""
        self._calls.finish()


class _Count:
    """How many records a sink has had: a file beside them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "records"
        text = self._path.read_text() if self._path.exists() else ""
        self.value = int(text) if text.strip().isdecimal() else 0

    def up(self) -> None:
        self._write(self.value + 1)

    def at_most(self, most: int) -> int:
        if self.value > most:
            self._write(most)
        return self.value

    def _write(self, value: int) -> None:
        self.value = value
        atomic.write_atomic(self._path, lambda file: file.write(str(value).encode()))


def numbers(entry: Record, prefix: str = "") -> dict[str, float]:
    """Every number of a record: "step", "valid_loss", "hypers/dropout0", a vector's "hypers/decay/mean"."""
    found: dict[str, float] = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            found |= numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            found[prefix + name] = value
    return found


def _need(module: str, who: str) -> None:
    if module not in sys.modules and importlib.util.find_spec(module) is None:
        raise UserError(f"{who} needs the package {module}: pip install {module}")
