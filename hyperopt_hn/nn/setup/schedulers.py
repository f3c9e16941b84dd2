"""Learning-rate schedulers: which are stepped when, and which of them look at a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeGuard, runtime_checkable

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from hyperopt_hn.errors import UserError


@runtime_checkable
class StepsByLoss(Protocol):
    """A schedule whose `step` takes a loss; the attribute says so, as other schedulers' `step` may take an epoch."""

    by_loss: Literal[True]

    def step(self, metrics: float) -> None:
        """Look at one more loss."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on, plain data."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on exactly where `state_dict()` was taken."""
        ...


@runtime_checkable
class StepsByCount(Protocol):
    """A schedule of anything else than a rate, whose `step` takes nothing."""

    by_loss: Literal[False]

    def step(self) -> None:
        """One more step is done."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step depends on, plain data."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on exactly where `state_dict()` was taken."""
        ...


Scheduler = LRScheduler | StepsByLoss | StepsByCount


@dataclass(frozen=True)
class Schedulers:
    """The user's learning-rate schedulers, stepped after each train step, tune step or evaluation.

    One that is stepped by a loss (ReduceLROnPlateau, NonMonotone) belongs under `evaluation`, where it gets the
    validation loss. Raises UserError for one elsewhere.
    """

    train: Sequence[Scheduler] = ()
    tune: Sequence[Scheduler] = ()
    evaluation: Sequence[Scheduler] = ()

    def __post_init__(self) -> None:
        for name in ("train", "tune"):
            for scheduler in getattr(self, name):
                if is_by_loss(scheduler):
                    raise UserError(
                        f"a {type(scheduler).__name__} under {name}= is never given a loss; "
                        "give it as Schedulers(evaluation=[...])"
                    )

    def all(self) -> list[Scheduler]:
        """Every scheduler."""
        return [*self.train, *self.tune, *self.evaluation]

    def trained(self) -> None:
        """A train step is done."""
        _step(self.train)

    def tuned(self) -> None:
        """A tune step is done."""
        _step(self.tune)

    def evaluated(self, valid_loss: float) -> None:
        """An evaluation is done."""
        _step(self.evaluation, valid_loss)


def is_by_loss(scheduler: object) -> TypeGuard[ReduceLROnPlateau | StepsByLoss]:
    """Whether a scheduler's `step` takes a loss: ReduceLROnPlateau, or what says so by `by_loss`."""
    return isinstance(scheduler, ReduceLROnPlateau) or bool(getattr(scheduler, "by_loss", False))


def _step(schedulers: Sequence[Scheduler], loss: float | None = None) -> None:
    for scheduler in schedulers:
        if is_by_loss(scheduler):
            assert loss is not None  # seen to at construction
            scheduler.step(loss)
        else:
            scheduler.step()  # type: ignore[call-arg]  # is_by_loss narrows one way only
