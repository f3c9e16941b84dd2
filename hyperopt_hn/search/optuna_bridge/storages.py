"""Studies in files and databases, opened by many processes at once; what storages raise becomes one line."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock, JournalStorage
from optuna.study import Study
from sqlalchemy.exc import IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from hyperopt_hn.errors import UserError
from hyperopt_hn.files.locks import InUseError, lock
from hyperopt_hn.files.whole_lines import keep_whole_lines
from hyperopt_hn.runs.refusals import remedy
from hyperopt_hn.runs.settings import masked

T = TypeVar("T")

LOCKED_SECONDS = 60.0
"""How long a process waits for a file that another one is writing; the default of SQLite's driver is 5 s."""

RACE_SECONDS = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Pauses between attempts to open a new storage: processes that begin one at once fail at making its tables."""

FAULTS = (OSError, StorageInternalError, JSONDecodeError, RuntimeError)
"""What a storage raises once it is open; RuntimeError where a lock cannot be given back."""

ELSEWHERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
"""What a system answers to the name of a file that cannot be made."""


def open_storage(storage: str) -> None:
    """Open it and look whether it answers. Raises UserError for one that does not."""
    _raced(storage, lambda: optuna.get_all_study_names(storage=_storage(storage)))


def open_study(sampler: BaseSampler, storage: str, name: str) -> Study:
    """The study of that name in a storage, made if it is not there: "journal:FILE" or any URL that Optuna takes.

    Raises UserError for a storage that cannot be opened.
    """
    return _raced(
        storage,
        lambda: optuna.create_study(storage=_storage(storage), study_name=name, sampler=sampler, load_if_exists=True),
    )


@contextmanager
def reached(storage: str, kinds: tuple[type[Exception], ...] = FAULTS) -> Iterator[None]:
    """Inside, what a storage raises becomes a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        raise _unreached(storage, _innermost(error), once_open=kinds is FAULTS) from None


def _innermost(error: BaseException) -> BaseException:
    """What a driver or the system said, under what Optuna and SQLAlchemy made of it."""
    around = error.__context__ if isinstance(error.__context__, OSError) else None
    deeper = getattr(error, "orig", None) or error.__cause__ or around
    return error if deeper is None else _innermost(deeper)


def _unreached(storage: str, error: BaseException, once_open: bool) -> UserError:
    """Another storage would begin another search, so that is the remedy only where this one was never open."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        line, known = error.strerror or line, error.errno not in ELSEWHERE
        what = remedy(error)
    else:
        remedies = {"full": "make room", "disk": "check the disk", "lock": "wait for it"}
        known = any(word in line for word in remedies)
        what = next((what for word, what in remedies.items() if word in line), "see that it can be reached")
    if not (once_open or known):
        what = f"the storage {masked(storage)} cannot be used ({masked(line)[:120]})"
        return _unusable(what, _first_look(storage, error))
    return UserError.spelled(
        lambda say: f"the storage {masked(storage)} failed ({masked(line)[:120]}); {what}, then use {say('resume')}"
    )


def _first_look(storage: str, error: BaseException) -> str:
    """What to see to before another storage is tried."""
    if isinstance(error, (ImportError, NoSuchModuleError)):
        return (
            "install its driver (PostgreSQL's: pip install 'psycopg[binary]', postgresql+psycopg://USER@HOST/DATABASE)"
        )
    return "see that its server runs and lets you in" if _on_a_server(storage) else ""


def _unusable(what: str, rather: str = "") -> UserError:
    first = f"{rather}, or " if rather else ""
    known = "sqlite:///FILE, journal:FILE or another URL that Optuna takes"
    return UserError.spelled(lambda say: f"{what}; {first}give {say('storage', ...)} {known}")


def _raced(storage: str, attempt: Callable[[], T]) -> T:
    """What an attempt at a storage gives, made again while another process makes the same tables."""
    with reached(storage, (Exception,)):  # SQLAlchemy, drivers, the file system and Optuna raise two dozen kinds
        for wait in RACE_SECONDS if _there(storage) else ():
            try:
                return attempt()
            except (OperationalError, IntegrityError, ProgrammingError):
                time.sleep(wait)
        return attempt()


def _on_a_server(storage: str) -> bool:
    """Whether it is no file of this machine's."""
    return "://" in storage and not storage.startswith(("sqlite:", "journal:"))


def _there(storage: str) -> bool:
    """Whether it is worth while to wait for it: not where an SQLite file has no folder."""
    file = storage.removeprefix("sqlite:///")
    return file == storage or Path(file).parent.is_dir()


def _whole_lines(journal: str) -> None:
    """Take away a last line that a killed process left unfinished: the next one would be glued to it."""
    if not Path(journal).is_file() or not Path(journal).read_bytes().startswith(b'{"op_code"'):
        return  # a new one, or a file of something else
    held = _JournalLock(journal)
    held.acquire()
    try:
        keep_whole_lines(Path(journal))
    finally:
        held.release()


class _JournalLock(JournalFileSymlinkLock):
    """The system's lock beside a journal, which a killed process gives back at once.

    Optuna's own, a link, outlives a killed process, and every other one then waits 30 s for it; it is taken where the
    file system has no locks.
    """

    def __init__(self, journal: str) -> None:
        super().__init__(journal)
        self._journal = journal
        self._taken: Any = None

    def acquire(self) -> bool:
        try:
            self._taken = lock(Path(f"{self._journal}.flock"), LOCKED_SECONDS)
        except InUseError:
            raise OSError(f"another process has held the lock of {self._journal} for {LOCKED_SECONDS:g} s") from None
        return self._taken is not None or super().acquire()

    def release(self) -> None:
        if self._taken is None:
            super().release()
        else:
            self._taken.release()


def _storage(storage: str) -> Any:
    if storage.startswith("journal:"):
        journal = storage.removeprefix("journal:")
        _whole_lines(journal)
        return JournalStorage(JournalFileBackend(journal, _JournalLock(journal)))
    if "://" not in storage:
        raise _unusable(f"the storage {masked(storage)!r} is no URL")
    how: dict[str, Any] = {"connect_args": {} if _on_a_server(storage) else {"timeout": LOCKED_SECONDS}}
    if not storage.endswith(("sqlite://", ":memory:")):
        how["poolclass"] = NullPool  # one for each transaction: none is left open, or was cut during a long trial
    return optuna.storages.RDBStorage(storage, engine_kwargs=how)
