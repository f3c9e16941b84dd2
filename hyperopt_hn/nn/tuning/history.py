"""The course of λ̂ over a run: one row per tune step, thinned to every second, fourth, … when it grows long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.runs.display.tables import csv_text, headings
from hyperopt_hn.space import HyperSpace


class Trace:
    """Raw λ̂ after tune steps, at least `rows` and at most twice so many of them once there were that many."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._stride = 1
        self._seen = 0
        self._steps: list[int] = []
        self._train: list[int] = []
        self._lams: list[Tensor] = []

    def add(self, step: int, lam: Tensor, train_steps: int | None = None) -> None:
        """Note λ̂ (n,) after `step` steps in total, training and tuning, `train_steps` of them training steps."""
        if self._seen % self._stride == 0:
            self._steps.append(step)
            self._train.append(-1 if train_steps is None else train_steps)
            self._lams.append(lam.detach().clone())
        self._seen += 1
        if len(self._steps) >= 2 * self.rows:
            self._steps, self._train, self._lams = self._steps[::2], self._train[::2], self._lams[::2]
            self._stride *= 2

    def table(self) -> tuple[list[int], Tensor]:
        """Steps, and raw λ̂ after each, (S, n) float64."""
        if not self._lams:
            return [], torch.zeros(0, 0, dtype=torch.float64)
        return list(self._steps), torch.stack(self._lams).double().cpu()

    def natural(self, space: HyperSpace) -> dict[str, Any]:
        """The table in natural units: "step" (S,) and every tuned hyperparameter, (S,) or (S, size), numpy."""
        steps, lams = self.table()
        values = space.values(lams.numpy().reshape(len(steps), space.n))
        # A hyperparameter that is itself named "step" is there as "hypers/step".
        keys = {name: "hypers/step" if name == "step" else name for name in space.tuned}
        found = {key: np.asarray(values[name]) for name, key in keys.items()}
        return {"step": np.array(steps, dtype=np.int64)} | found

    def write(self, path: Path | str, space: HyperSpace) -> None:
        """The table as CSV, atomically: step, train_steps, then a column per hyperparameter (vectors: name[0], …).

        `hyperopt_hn.course.Replay` follows it by its train_steps.
        """
        table = self.natural(space)
        columns: dict[str, np.ndarray] = {"step": table.pop("step")}
        if all(step >= 0 for step in self._train):
            columns["train_steps"] = np.array(self._train, dtype=np.int64)
        for key, values in table.items():
            name = key.removeprefix("hypers/") if key == "hypers/step" else key
            wide = values.ndim == 2
            columns |= (
                {f"hypers/{name}[{i}]": values[:, i] for i in range(values.shape[1])}
                if wide
                else {f"hypers/{name}": values}
            )
        rows = [[repr(x.item()) for x in row] for row in zip(*columns.values(), strict=True)]
        text = csv_text(headings(list(columns)), rows)
        write_atomic(Path(path), lambda file: file.write(text.encode()))

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        lams = torch.stack(self._lams).cpu() if self._lams else torch.zeros(0)
        return {
            "stride": self._stride,
            "seen": self._seen,
            "steps": list(self._steps),
            "train": list(self._train),
            "lams": lams,
        }

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from `state()`."""
        self._stride, self._seen, self._steps = state["stride"], state["seen"], list(state["steps"])
        self._train = list(state.get("train", [-1] * len(self._steps)))  # earlier versions did not note it
        self._lams = [row.clone().to(device) for row in state["lams"]]
