"""Trials of an Optuna study: asked for with their owner, told their loss, given up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import TrialState


def ask(study: Study, attributes: Mapping[str, Any]) -> Any:
    """`study.ask()` with attributes that the trial has from its first moment: a kill leaves none without them."""
    begun = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=dict(attributes))
    return optuna.trial.Trial(study, study._storage.create_new_trial(study._study_id, template_trial=begun))


def tell(study: Study, number: int, loss: float) -> None:
    """The loss of a trial, which failed where it is not finite; an already reported trial keeps its value."""
    study.tell(number, value_of(loss), state_of(loss), skip_if_finished=True)


def give_up(study: Study, trial: Any) -> None:
    """Report a trial that nobody will run."""
    study.tell(trial, state=TrialState.FAIL)


def state_of(loss: float) -> TrialState:
    """A trial's state by its loss: failed where that is not finite."""
    return TrialState.COMPLETE if math.isfinite(loss) else TrialState.FAIL


def value_of(loss: float) -> float | None:
    """A loss as a study takes it."""
    return loss if math.isfinite(loss) else None
