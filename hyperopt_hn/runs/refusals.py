"""When a run's directory is not written: what is there already, who holds it, what has to be done instead."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperopt_hn.errors import TOO_MANY, TOO_MANY_REMEDY, UserError, start_again
from hyperopt_hn.files import atomic
from hyperopt_hn.runs.reader import FORMAT

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a used-up quota and a limit on a file's size answer."""


def check(where: Path, config: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
    """Raise UserError unless a run of this configuration may be begun or resumed here."""
    if where.exists() and not where.is_dir():
        raise elsewhere(f"{where} is a file, not a directory")
    if overwrite or not (where / "config.json").exists():
        if not overwrite and where.is_dir() and any(not _is_ours(path.name) for path in where.iterdir()):
            raise elsewhere(f"{where} holds other files")
        return
    if (where / "result.json").exists():
        raise UserError.spelled(lambda say: f"{where} is a finished run; use {say('overwrite')} to make it again")
    if not resume:
        raise UserError.spelled(
            lambda say: (
                f"{where} is an unfinished run; use {say('resume')} to go on or {say('overwrite')} to start again"
            )
        )
    _check_same(where, atomic.read_json(where / "config.json"), config)


def elsewhere(what: str) -> UserError:
    """The error of a place that cannot be used."""
    return UserError(f"{what}; choose another place", f"{what}; choose another place with --out")


def in_use(where: Path, own: bool) -> UserError:
    """The error of a run that someone writes already: this process itself if `own`."""
    if not own:
        return elsewhere(f"{where} is in use by another process; wait for it")
    return UserError(
        f"{where} is in use by this very process (an earlier cell of the notebook?): close() that log, or restart the "
        "kernel"
    )


def unwritten(what: str, error: OSError, kept: str = "") -> UserError:
    """The error of a disk that is full, or that fails; `kept` is what is not lost."""
    why = f"{what} ({error.strerror})" + (f"; {kept}" if kept else "")
    return UserError.spelled(lambda say: f"{why}; {remedy(error)}, then use {say('resume')}")


def remedy(error: OSError) -> str:
    """What to do about a failure of the system."""
    if error.errno in TOO_MANY:
        return TOO_MANY_REMEDY
    return "make room" if error.errno in FULL else "check the disk"


def _check_same(where: Path, old: Any, config: Mapping[str, Any]) -> None:
    if not isinstance(old, dict) or not isinstance(old.get("format", 0), int) or old.get("format", 0) > FORMAT:
        raise start_again(f"{where}/config.json was written by a newer version", "update hyperopt_hn")
    for key in ("experiment", "arm", "preset", "seed", "config", "data"):
        was, now = old.get(key), json.loads(json.dumps(config.get(key)))
        if was != now:
            raise _other_settings(where, _difference(key, was, now))


def _other_settings(where: Path, difference: str) -> UserError:
    what = f"{where} was started with other settings ({difference}); give the same ones to resume, or choose another"
    return UserError(f"{what} place", f"{what} --out")


def _difference(key: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                return f"{name} was {old.get(name)!r}, now {new.get(name)!r}"
    return f"{key} was {old!r}, now {new!r}"


def _is_ours(name: str) -> bool:
    """Whether a run that was killed may have left this file before its configuration was written."""
    return name == ".lock" or (name.startswith(".") and name.endswith(".part"))
