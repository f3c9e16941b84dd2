"""How a run ends early: a mistake the user can mend, a training that left the finite numbers, nothing left to do."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake the user can mend; the message is one line that names the remedy (exit code 2)."""


class NonFiniteError(ArithmeticError):
    """A loss or hyperparameter became NaN or infinite; the message names it, the step and λ (exit code 1)."""


class Exhausted(Exception):
    """A tuner's step found nothing left to do (a grid is visited); the message says so, the run ends as it should."""
