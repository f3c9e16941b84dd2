"""A lock on a file, held until it is released or its process ends; without one where the file system has none."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # where there is no fcntl: "only soft file lock is available"
    from filelock import BaseFileLock, FileLock, Timeout

LOCKLESS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer (some NFS, Lustre, FUSE)."""


class InUseError(Exception):
    """Another one holds the lock: this process itself if `own`."""

    def __init__(self, own: bool) -> None:
        super().__init__("locked by this process" if own else "locked by another process")
        self.own = own


def lock(path: Path, wait: float = 0.0) -> BaseFileLock | None:
    """The lock, taken after at most `wait` seconds; None, with one warning, where the file system has no locks.

    Raises InUseError, without waiting if this process holds it, and OSError where the file cannot be made.
    """
    if path.is_symlink():  # it would have another file opened for writing
        raise OSError(errno.ELOOP, "it is a symbolic link", str(path))
    taken = FileLock(path, thread_local=False, is_singleton=True)
    if taken.is_locked:
        raise InUseError(own=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # filelock's word for a lock that it only imitates with a file
            taken.acquire(timeout=wait)
        return taken
    except Timeout:
        raise InUseError(own=False) from None
    except (OSError, NotImplementedError, Warning) as error:
        taken.release(force=True)
        if isinstance(error, OSError) and error.errno not in LOCKLESS:
            raise
    warnings.warn(
        f"the file system of {path.parent} has no locks: take care that no other process writes there", stacklevel=3
    )
    return None
