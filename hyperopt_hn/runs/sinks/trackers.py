"""A run's records in an experiment tracker."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperopt_hn.config import described
from hyperopt_hn.files import atomic
from hyperopt_hn.runs.sinks.counted import Count, need
from hyperopt_hn.runs.sinks.delivery import Record, numbers


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
    _count: Count = field(init=False, repr=False)
    _calls: Any = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        need(self.module, f"Tracker({self.module!r})")

    def open(self, run: Path, records: Sequence[Record]) -> int:
        """Begin or resume the tracker's run."""
        self._calls = importlib.import_module(self.module)
        self._count = Count(run / f".{self.module}")
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
