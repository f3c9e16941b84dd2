"""What the response says of the validation loss along each hyperparameter's axis through λ̂, for a figure or a page."""

from __future__ import annotations

import json
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from hyperopt_hn.errors import UserError
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.nn.tuning.tuner import TorchTuner

FILE = "axes.json"
"""In a run's folder, where `python -m deep explore` finds it."""
REACH = 2.0
"""Raw units to either side of λ̂, inside the box."""


@torch.no_grad()
def response_axes(tuner: TorchTuner, points: int = 9, batches: int | None = None) -> dict[str, dict[str, Any]]:
    """Name -> "values" (points,) in natural units, "valid_loss" (points,) of the response there, and "here", λ̂'s.

    One number each: hyperparameters that are vectors are left out. Everything else stays at λ̂, and each point is a
    pass over the validation data, or over its first `batches`, by the plain model with the response's weights. Raises
    UserError for fewer than two points, and where the validation data give no batch.
    """
    if points < 2:
        raise UserError(f"points={points} is no curve; give 2 or more")
    hypers = tuner.losses.hypers
    lam = hypers.lam.detach().clone()
    found = {}
    for name, place in hypers.space.places.items():
        if place.stop - place.start != 1 or hypers.space[name].size is not None:
            continue
        here, low, high = (float(part[place.start]) for part in (lam, hypers.low, hypers.high))
        raws = np.linspace(max(here - REACH, low), min(here + REACH, high), points)
        values, losses = [], []
        for raw in raws:
            at = lam.clone()
            at[place.start] = float(raw)
            value = hypers.space.plain(at.double().cpu().numpy())[name]
            values.append(value)
            losses.append(_valid_loss(tuner, {name: value}, batches))
        found[name] = {"values": values, "valid_loss": losses, "here": hypers.plain()[name]}
    return found


def write_axes(tuner: TorchTuner, run: Path | str, points: int = 9) -> Path:
    """`response_axes` as axes.json in a run's folder. Raises UserError where there is no run."""
    folder = Path(run)
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is no run's folder; give the folder that fit(out=...) made, result.path")
    content = json.dumps(response_axes(tuner, points)).encode()
    write_atomic(folder / FILE, partial(_put, content))
    return folder / FILE


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _valid_loss(tuner: TorchTuner, values: dict[str, Any], batches: int | None) -> float:
    """Mean over the rows of the validation data of the loss of the plain model with the response's weights."""
    model = tuner.collapsed(values).eval()
    total, rows = 0.0, 0
    for batch in islice(tuner.problem.valid.once(), batches):
        count = tuner.problem.rows(batch)
        total += float(tuner.problem.valid_loss(model, batch)) * count
        rows += count
    if not rows:
        raise UserError("the validation data gave no batch; call this after fit, or give the tuner its data")
    return total / rows
