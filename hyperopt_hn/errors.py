"""How a run ends early: a mistake the user can correct, a training that left the finite numbers, nothing left to do."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any

FEW = 8
"""So many known names are listed beside the nearest one."""

TOO_MANY = (errno.EMFILE, errno.ENFILE)
"""What a system answers to one more open file."""

TOO_MANY_REMEDY = "allow more open files (ulimit -n)"

Say = Callable[..., str]
"""(a setting's name, its value: True if left out, ... for none) -> how it is written where the message is read."""


class UserError(ValueError):
    """A mistake the user can correct; the message is one line that names the remedy (exit code 2).

    `str(error)` is for a script, `error.typed` for a command line; they differ where the remedy is a setting, which
    is `overwrite=True` in the one and `--overwrite` in the other (see `spelled`).
    """

    def __init__(self, message: str, typed: str | None = None) -> None:
        super().__init__(message)
        self.typed = message if typed is None else typed

    @classmethod
    def spelled(cls, write: Callable[[Say], str]) -> UserError:
        """The error of `write(say)`, in which say("overwrite"), say("steps", 50) or say("out", ...) names a setting."""
        return cls(write(in_script), write(on_command_line))


class RowsError(UserError):
    """A layer whose input does not hold the batch that λ was given for; `at` adds the layer's name and the remedy."""


class NewerError(UserError):
    """A file that a newer version wrote: no damage, so that nothing older is taken in its place."""


class UnreadError(UserError):
    """A file that the system did not give: that is no damage either, and the next reading may succeed."""

    def __init__(self, path: object, error: OSError) -> None:
        remedy = "check the disk and your permissions" if error.errno not in TOO_MANY else TOO_MANY_REMEDY
        super().__init__(f"{path} cannot be read ({error.strerror or error}); {remedy}, then try again")


class NonFiniteError(ArithmeticError):
    """A loss or hyperparameter became NaN or infinite; the message names it, the step and λ (exit code 1)."""


class Exhausted(Exception):
    """A tuner's step found nothing left to do (a grid is visited); the message says so, the run ends as it should."""


def in_script(name: str, value: Any = True) -> str:
    """ "overwrite=True"; "out" alone for a value of the user's choice."""
    return name if value is ... else f"{name}={value!r}"


def on_command_line(name: str, value: Any = True) -> str:
    """ "--overwrite"."""
    flag = f"--{name.replace('_', '-')}"
    return flag if value is True or value is ... else f"{flag} {value}"


def start_again(what: str, rather: str = "") -> UserError:
    """The error of files that cannot be gone on with; `rather` is the better remedy, where there is one.

    `overwrite` beside `resume` would be refused, so both are named.
    """
    other = f"{rather}, or " if rather else ""
    return UserError.spelled(
        lambda say: f"{what}; {other}start the run again with {say('overwrite')}, without {say('resume')}"
    )


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """ "no setting 'stpes'; did you mean 'steps'?", and what there is where that is short or nothing is near."""
    near = get_close_matches(name, list(known), n=1)
    there = f"there are: {', '.join(known) or 'none'}"
    hint = there if not near else f"did you mean {near[0]!r}?" + (f" ({there})" if len(known) <= FEW else "")
    return f"no {what} {brief(repr(name))}; {hint}"


def brief(text: str) -> str:
    """At most 60 characters of a text, for messages."""
    return text if len(text) <= 60 else f"{text[:40]}…{text[-15:]}"
