"""A hyperparameter's course over time in a fixed-λ run: Gaussian, sinusoid, or the replay of a run's record.

A course is a pure function of the step, so a resumed run needs no memory of it. MacKay et al. 2019, sec. 5.2.
"""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from hyperopt_hn.config import described
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.display.output import one_line
from hyperopt_hn.runs.reader import Run
from hyperopt_hn.space import HyperSpace

COUNTERS = ("step", "train_steps", "seconds")
"""Headings of a table that are no hyperparameters."""


class Course(Protocol):
    """Values of hyperparameters that are not tuned: a pure function of the training step."""

    def at(self, step: int) -> Mapping[str, float]:
        """Natural values by name for the training step that comes after `step` training steps."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """centre + sd·ε with a fresh ε ~ N(0, 1) for each step and hyperparameter, clipped to [low, high]."""

    centre: Mapping[str, float]
    sd: float
    seed: int
    low: float = 0.0
    high: float = 0.99

    def at(self, step: int) -> Mapping[str, float]:
        """The values of this step; a function of (seed, step) alone."""
        eps = np.random.default_rng([self.seed, step]).standard_normal(len(self.centre))
        return {name: _clip(self, x + self.sd * e) for (name, x), e in zip(self.centre.items(), eps, strict=True)}


@dataclass(frozen=True)
class Sinusoid:
    """centre + amplitude·sin(2π (step + phase) / period), clipped to [low, high]; period and phase in steps.

    The published script multiplied by 2π twice, so its period was 2π times too short.
    """

    centre: Mapping[str, float]
    amplitude: float
    period: float
    phase: float = 0.0
    low: float = 0.0
    high: float = 0.99

    def __post_init__(self) -> None:
        if not self.period > 0:
            raise UserError(f"a sinusoid's period must be above 0 steps, not {self.period:g}")

    def at(self, step: int) -> Mapping[str, float]:
        """The values of this step."""
        shift = self.amplitude * math.sin(2.0 * math.pi * (step + self.phase) / self.period)
        return {name: _clip(self, x + shift) for name, x in self.centre.items()}


@described
@dataclass(frozen=True)
class Replay:
    """A recorded schedule: at each step the last values recorded at or before it; the first ones before that."""

    steps: np.ndarray
    """(R,) strictly rising."""
    values: Mapping[str, np.ndarray] = field(repr=False)
    """name -> (R,) natural units."""

    @classmethod
    def read(cls, path: Path | str, space: HyperSpace) -> Replay:
        """The schedule in a run's directory or a table. Raises UserError for a bad one, naming the row or the remedy.

        A run that recorded hyperparameters which `space` lacks is refused; such columns of a table are logged.
        """
        if not Path(path).is_dir():
            return cls.of_csv(path, space)
        run = Run(path)
        recorded = (key.removeprefix("hypers/") for key in run.columns() if key.startswith("hypers/"))
        strange = [name for name in recorded if name not in space.names]
        if strange:
            raise UserError(
                f"{path} recorded {', '.join(strange)}, which are no hyperparameters here: it is a run of another space"
            )
        return cls.of_run(run, space)

    @classmethod
    def of_run(cls, run: Run, space: HyperSpace) -> Replay:
        """The course of every hyperparameter of `space` that the run recorded, by training step."""
        names = [name for name in space.names if f"hypers/{name}" in run.columns()]
        if not names:
            raise UserError(f"{run.path} recorded none of {', '.join(space.names)}: it is a run of another space")
        key = "train_steps" if "train_steps" in run.columns() else "step"
        table = {name: run.column(f"hypers/{name}") for name in names}
        return cls._checked(run.column(key), table, space, str(run.path))

    @classmethod
    def of_csv(cls, path: Path | str, space: HyperSpace) -> Replay:
        """A table with a column 'step' and one per hyperparameter. Raises UserError for a bad one, naming the row.

        Steps are training steps. Where there is a column 'train_steps' (in `python -m hyperopt_hn.runs csv RUN` and
        `TorchTuner.write_course`, whose 'step' counts tuning steps too), that one counts. A hyperparameter that is
        named as one of the other columns has the heading 'hypers/<name>'.
        """
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"the schedule {path} cannot be read ({error})") from None
        key = "train_steps" if rows and "train_steps" in rows[0] else "step"
        columns = {name: head for name in space.names if rows and (head := _heading(name, rows[0]))}
        if not rows or key not in rows[0] or not columns:
            raise UserError(f"the schedule {path} needs a column 'step' and at least one of {', '.join(space.names)}")
        others = [str(name) for name in rows[0] if name not in (*columns.values(), "step", "train_steps")]
        if others:
            logging.getLogger(__name__).warning(
                "the schedule %s: no hyperparameters here, left out: %s", path, one_line(", ".join(others))
            )
        table: dict[str, list[float]] = {head: [] for head in (key, *columns.values())}
        for number, row in enumerate(rows, 2):
            for head, values in table.items():
                try:
                    values.append(float(row[head]))
                except (TypeError, ValueError):
                    raise UserError(f"the schedule {path} line {number}: {head} is {row[head]!r}, no number") from None
        found = {name: np.array(table[head]) for name, head in columns.items()}
        return cls._checked(np.array(table[key]), found, space, str(path))

    @classmethod
    def _checked(cls, steps: np.ndarray, values: Mapping[str, np.ndarray], space: HyperSpace, place: str) -> Replay:
        if len(steps) == 0 or not (np.isfinite(steps).all() and (np.diff(steps) >= 0).all()):
            raise UserError(f"the schedule {place} needs rising, finite steps")
        for name, column in values.items():
            bad = ~np.isfinite(column) | (column < space[name].low) | (column > space[name].high)
            if bad.any():
                row = int(np.argmax(bad))
                raise UserError(
                    f"the schedule {place}: {name} is {column[row]:g} at step {steps[row]:g}, "
                    f"outside [{space[name].low:g}, {space[name].high:g}]"
                )
        last = np.append(np.diff(steps) > 0, True)  # of several records at one step the last holds
        return cls(steps[last], {name: np.asarray(column)[last] for name, column in values.items()})

    def last(self) -> dict[str, float]:
        """The values that it ends at."""
        return {name: float(column[-1]) for name, column in self.values.items()}

    def at(self, step: int) -> Mapping[str, float]:
        """The values of this step."""
        row = max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)
        return {name: float(column[row]) for name, column in self.values.items()}


def _heading(name: str, row: Mapping[str, str]) -> str | None:
    """Under which heading a table has a hyperparameter; None: it has not."""
    full = f"hypers/{name}"
    return full if full in row else name if name in row and name not in COUNTERS else None


def _clip(course: Gaussian | Sinusoid, value: float) -> float:
    return min(max(value, course.low), course.high)
