"""The two ways a run ends early: a mistake the user can mend, and a training that left the finite numbers."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake the user can mend; the message is one line that names the remedy (exit code 2)."""


class NonFiniteError(ArithmeticError):
    """A loss or hyperparameter became NaN or infinite; the message names it, the step and λ (exit code 3)."""
