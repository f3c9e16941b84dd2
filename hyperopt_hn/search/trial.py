"""A trial: the values that are tried and the loss they reach; as plain data for checkpoints and storages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperopt_hn.config import described


@described
@dataclass(frozen=True)
class Trial:
    """Tuned hyperparameters in natural units (name -> number or (size,) array) and the validation loss they reached."""

    values: Mapping[str, Any]
    loss: float
    """NaN: it failed."""


@dataclass(frozen=True)
class Asked:
    """A trial to run: its number in the study, and the tuned hyperparameters in natural units."""

    number: int
    values: Mapping[str, Any]


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as plain data: vectors become lists."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def values_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `plain_values` made plain."""
    return {name: np.array(value) if isinstance(value, list) else value for name, value in row.items()}


def plain_trial(trial: Trial) -> dict[str, Any]:
    """A trial as plain data; None for a loss that is not finite."""
    return {"values": plain_values(trial.values), "loss": trial.loss if math.isfinite(trial.loss) else None}


def trial_of(row: Mapping[str, Any]) -> Trial:
    """What `plain_trial` made plain."""
    return Trial(values_of(row["values"]), math.nan if row["loss"] is None else row["loss"])
