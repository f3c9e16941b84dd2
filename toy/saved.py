"""What a finished or stopped run has learned, back in memory: w_φ(λ) at any λ, and the run's record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn import UserError
from hyperopt_hn.files.states import load_state
from hyperopt_hn.runs.reader import Run
from toy.responses import FactorisedResponse, LinearResponse, MLPResponse, WeightResponse


@dataclass(frozen=True)
class SavedRun:
    """A hypernetwork of a run, at its best state or where it ended."""

    run: Run
    """The data of the record: `run.column("valid_loss")`, `run.steps`, `run.config`, `run.arrays`."""
    response: WeightResponse
    phi: list[np.ndarray]
    lam: np.ndarray
    """Raw λ̂ (n,)."""
    record: Mapping[str, Any]
    """The record of that state. The best one is an early stop on validation loss, not the λ where tuning ended."""

    def weights(self, lam: np.ndarray | float | None = None) -> np.ndarray:
        """w_φ(λ) at raw λ (n,) -> (P,), at several (B, n) -> (B, P); without λ at λ̂. Raises UserError for another n."""
        rows = np.asarray(self.lam if lam is None else lam, dtype=np.float64)
        n = self.lam.size
        if rows.ndim > 2 or (rows.shape[-1] if rows.ndim else 1) != n:
            raise UserError(f"λ has shape {rows.shape}; this run's hypernetwork takes ({n},) or (B, {n})")
        w = np.asarray(self.response(self.phi, rows.reshape(-1, n)))
        return w if rows.ndim == 2 else w[0]


def load_run(path: Path | str, response: WeightResponse | None = None, end: bool = False) -> SavedRun:
    """A run of `python -m toy`, or of an own problem with the `response` that it was made with; `end`: where it ended.

    Raises UserError where the directory holds no hypernetwork, or one that needs its response named.
    """
    run = Run(path)
    whole = load_state(run.path / ("checkpoint.npz" if end else "best.npz"))
    state = whole.get("state", {}).get("tuner", {}) if end else whole
    if "phi" not in state or "lam" not in state:
        made = f"{run.config.get('experiment')}/{run.config.get('arm')}"
        raise UserError(f"{run.path} ({made}) holds no hypernetwork; name a run of one, such as local-small/hypernet")
    phi, lam = [np.asarray(part) for part in state["phi"]], np.asarray(state["lam"])
    found = response or _response(run, phi, lam.size)
    mine = [part.shape for part in found.init(np.random.RandomState(0))]
    if mine != [part.shape for part in phi]:
        shapes = ", ".join(str(part.shape) for part in phi)
        raise UserError(f"{run.path} has φ of shapes {shapes}, the response {mine}; give the response it was made with")
    return SavedRun(run, found, phi, lam, run.records[-1] if end and run.records else _best(run))


def _best(run: Run) -> Mapping[str, Any]:
    losses = run.column("valid_loss")
    return run.records[int(np.nanargmin(losses))] if np.isfinite(losses).any() else {}


def _response(run: Run, phi: list[np.ndarray], n: int) -> WeightResponse:
    """From the run's settings; a φ of one layer is linear."""
    settings = run.config.get("config")
    kind = settings.get("response") if isinstance(settings, Mapping) else None
    weights = phi[-1].size
    if len(phi) == 2 and kind in (None, "linear"):
        return LinearResponse(n, weights)
    if len(phi) == 4 and kind == "mlp":
        return MLPResponse(n, weights, phi[1].size)
    if len(phi) == 4 and kind == "factorised":
        return FactorisedResponse(n, weights, phi[1].size)
    raise UserError(f"{run.path} does not say which response it learned; give it: load_run(path, MLPResponse(...))")
