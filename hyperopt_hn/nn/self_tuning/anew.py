"""The untouched network trained anew: at fixed values, or along the recorded course of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from hyperopt_hn.course import Replay
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.context import hyper_layers
from hyperopt_hn.nn.conversion.copies import copy_of
from hyperopt_hn.nn.self_tuning import running
from hyperopt_hn.nn.self_tuning.assembly import Specification, assemble
from hyperopt_hn.nn.self_tuning.data import Data
from hyperopt_hn.nn.self_tuning.result import TuningResult
from hyperopt_hn.nn.tuning.tuner import TorchTuner
from hyperopt_hn.space import HyperSpace


def trained(given: Specification, plan: running.FitPlan) -> tuple[TorchTuner, TuningResult]:
    """A tuner made from a specification, its network converted in place, after a run as planned."""
    tuner, _ = assemble(given)
    return tuner, running.run(tuner, given, plan)


def plain(tuner: TorchTuner, values: Mapping[str, Any] | None = None) -> nn.Module:
    """The ordinary network at λ̂, or at natural `values`: plain classes and keys."""
    bare = tuner.losses.bare
    return copy_of(bare) if next(hyper_layers(bare), None) is None else tuner.collapsed(values)


def fixed(space: HyperSpace, values: Mapping[str, Any]) -> HyperSpace:
    """The space with nothing tuned, at `values`; names left out stay where they start."""
    return space.with_init(values).with_tuned([])


def course_of(records: Sequence[Mapping[str, Any]], space: HyperSpace) -> Replay:
    """The course of every tuned hyperparameter over training steps. UserError for a vector, which records sum up."""
    vectors = [name for name in space.tuned if space[name].size is not None]
    if vectors:
        raise UserError(f"the course of {vectors[0]!r}, a vector, is not recorded entry by entry; use retrain()")
    steps = np.array([record["train_steps"] for record in records])
    values = {name: np.array([record["hypers"][name] for record in records]) for name in space.tuned}
    fresh = np.concatenate([[True], np.diff(steps) > 0])
    return Replay(steps[fresh], {name: column[fresh] for name, column in values.items()})


def plan_like(
    last: running.FitPlan | None, train: Data = None, valid: Data = None, epochs: int | None = None,
    steps: int | None = None,
) -> running.FitPlan:  # fmt: skip
    """A run that leaves no files, its data and length those of the last one unless given. UserError without data."""
    if train is None or valid is None:
        if last is None:
            raise UserError("there are no data yet: objective(train, valid, epochs=...), or call fit before")
        train, valid = last.train, last.valid
    if epochs is None and steps is None and last is not None:
        epochs, steps = last.epochs, last.steps
    size = 64 if last is None else last.batch_size
    return running.FitPlan(train, valid, epochs=epochs, steps=steps, batch_size=size, quiet=True)
