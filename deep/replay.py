"""`--replay` and `--replay-final`: a fixed network along the recorded course of another run, or at its last values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from deep.choice import TuningChoice
from hyperopt_hn.config import check, option
from hyperopt_hn.course import Course, Replay
from hyperopt_hn.errors import UserError
from hyperopt_hn.space import Hyper, HyperSpace


@dataclass(frozen=True)
class ReplaySettings:
    """Which recorded course is followed, if any."""

    replay: str = option("", "a run's directory, or a CSV: nothing is tuned, recorded values are followed step by step")
    replay_final: bool = option(False, "of the run to replay, hold the final values instead")

    def __post_init__(self) -> None:
        check(self)
        if self.replay_final and not self.replay:
            raise UserError("--replay-final needs a run: --replay RUN")


def replayed(
    settings: ReplaySettings,
    hypers: Sequence[Hyper],
    choice: TuningChoice,
    chosen: Callable[[TuningChoice], HyperSpace],
) -> tuple[HyperSpace, Course | None]:
    """A run's space and course: without `--replay` what `choice` says; with it nothing is tuned.

    `hypers` are all that the network has; `chosen` makes the space of a choice. `--fix` and `--init` hold what was
    not recorded. Raises UserError for a record of other hyperparameters.
    """
    if not settings.replay:
        return chosen(choice), None
    course = Replay.read(settings.replay, HyperSpace(hypers, []))
    fixed = ",".join([*course.values, *filter(None, (choice.fix,))])
    space = chosen(replace(choice, tune="none", fix=fixed))
    if settings.replay_final:
        return space.with_init(course.last()), None
    return space, course  # which may be at a bound, where no initial value can be


def refuse_replay(settings: ReplaySettings, experiment: str) -> None:
    """Raise UserError for a comparison that is given a course to follow."""
    if settings.replay:
        raise UserError(f"a comparison replays nothing; use python -m deep {experiment} --replay")
