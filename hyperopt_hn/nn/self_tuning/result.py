"""What a run of SelfTuner.fit gives back: numbers and arrays, and a picture of its course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn.config import described
from hyperopt_hn.nn.diagnosis.trust import Trust
from hyperopt_hn.runs.display.notebook import Picture
from hyperopt_hn.runs.reader import columns_of, number_at


@described
@dataclass(frozen=True, repr=False)
class TuningResult:
    """The outcome of a run, natural units throughout; `print` shows it in a few lines."""

    best_hypers: Mapping[str, Any]
    """Hyperparameters at the best validation loss: name -> number, or (size,) numpy for a vector."""
    best_loss: float
    """The best validation loss."""
    best: Mapping[str, Any]
    """The whole record of the best evaluation: step, losses, metrics, hyperparameters."""
    records: Sequence[Mapping[str, Any]]
    """One record an evaluation, in order; the last one is the end of the run."""
    course: Mapping[str, np.ndarray]
    """The steps "step" (S,) and the course of every tuned hyperparameter over all tuning steps, (S,) or (S, size)."""
    arrays: Mapping[str, np.ndarray]
    """What the run left in arrays.npz, raw units: lambda_hat (n,), sigma (n,), course_step, course_lambda (S, n)."""
    reason: str
    """Why it stopped, in one word: finished, patience, time or exhausted."""
    seconds: float
    """Wall-clock seconds."""
    path: Path | None = None
    """The run's folder, if it has one."""
    trust: Trust | None = None
    """Which of the values can be believed at the end of the run, and why the others cannot: print it."""

    @property
    def steps(self) -> np.ndarray:
        """Steps done at each record, (R,) int64."""
        return self.column("step").astype(np.int64)

    def column(self, key: str) -> np.ndarray:
        """One number per record, (R,) float64; NaN where a record lacks it. "hypers/dropout" goes one level down."""
        return np.array([number_at(record, key) for record in self.records], dtype=float)

    def columns(self) -> list[str]:
        """Every key that `column` takes."""
        return columns_of(self.records)

    def plot(self, path: Path | str) -> Picture:
        """Losses and hyperparameters over steps, to a .png, .pdf or .svg, which a notebook shows.

        Raises UserError for another ending.
        """
        from hyperopt_hn.runs.display.plotting import plot_one  # matplotlib

        plot_one(self, Path(path))
        return Picture(Path(path))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={_short(value)}" for name, value in self.best_hypers.items())
        lines = [f"best validation loss {self.best_loss:.5g} at step {self.best['step']}: {values}"]
        lines += [f"test loss there {self.best['test_loss']:.5g}"] if "test_loss" in self.best else []
        lines += [f"{self.reason} after {self.seconds:.0f} s" + (f", recorded in {self.path}" if self.path else "")]
        return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.min():.4g} to {value.max():.4g} ({value.size} values)"
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)
