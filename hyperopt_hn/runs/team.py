"""How the processes that share a run stop together; one process stops alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hyperopt_hn.config import described


def _here() -> None:
    """Nobody to wait for."""


@described
@dataclass(frozen=True)
class Team:
    """What the loop asks at the end of each step and of the run."""

    stops: Callable[[bool], bool] = bool
    """Whether this process was asked to stop -> whether all stop now; all processes call it together."""
    meet: Callable[[], None] = _here
    """Wait until every process is here."""
    grace: float = 0.0
    """Seconds in which a second signal is the first one again: a launcher hands on what the terminal sends to all."""


ALONE = Team()
