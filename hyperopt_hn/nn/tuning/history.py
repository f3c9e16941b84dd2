"""The course of λ̂ over a run: one row per tune step, thinned to every second, fourth, … when it grows long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperopt_hn.files import write_atomic
from hyperopt_hn.space import HyperSpace


class Trace:
    """Raw λ̂ after tune steps, at least `rows` and at most twice so many of them once there were that many."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._stride = 1
        self._seen = 0
        self._steps: list[int] = []
        self._lams: list[Tensor] = []

    def add(self, step: int, lam: Tensor) -> None:
        """Note λ̂ (n,) after `step` steps of either kind."""
        if self._seen % self._stride == 0:
            self._steps.append(step)
            self._lams.append(lam.detach().clone())
        self._seen += 1
        if len(self._steps) >= 2 * self.rows:
            self._steps, self._lams = self._steps[::2], self._lams[::2]
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
        return {"step": np.array(steps, dtype=np.int64)} | {name: np.asarray(values[name]) for name in space.tuned}

    def write(self, path: Path | str, space: HyperSpace) -> None:
        """The table as CSV, atomically: step, then a column per hyperparameter (vectors: name[0], name[1], …)."""
        columns: list[tuple[str, np.ndarray]] = []
        for name, values in self.natural(space).items():
            wide = values.ndim == 2
            columns += [(f"{name}[{i}]", values[:, i]) for i in range(values.shape[1])] if wide else [(name, values)]
        lines = [",".join(name for name, _ in columns)]
        lines += [",".join(repr(x.item()) for x in row) for row in zip(*(c for _, c in columns), strict=True)]
        write_atomic(Path(path), lambda file: file.write(("\n".join(lines) + "\n").encode()))

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        lams = torch.stack(self._lams).cpu() if self._lams else torch.zeros(0)
        return {"stride": self._stride, "seen": self._seen, "steps": list(self._steps), "lams": lams}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from `state()`."""
        self._stride, self._seen, self._steps = state["stride"], state["seen"], list(state["steps"])
        self._lams = [row.clone().to(device) for row in state["lams"]]
