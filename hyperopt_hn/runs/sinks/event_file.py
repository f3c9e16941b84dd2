"""A run's records as TensorBoard's scalars."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperopt_hn.runs.sinks.counted import Count, need
from hyperopt_hn.runs.sinks.delivery import Record, numbers


@dataclass(eq=False)
class TensorBoard:
    """TensorBoard scalars, "valid_loss", "hypers/dropout0", … by step, in `folder` of the run's directory.

    Needs the package tensorboard (and no torch). Raises UserError where it is not installed.
    """

    folder: str = "tensorboard"
    _count: Count = field(init=False, repr=False)
    _writer: Any = field(init=False, repr=False, default=None)
    _first: bool = field(init=False, repr=False, default=True)

    def __post_init__(self) -> None:
        need("tensorboard", "TensorBoard()")

    def open(self, run: Path, records: Sequence[Record]) -> int:
        """Of more events than the log has records the later ones are taken back."""
        self._count = Count(run / self.folder)
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
