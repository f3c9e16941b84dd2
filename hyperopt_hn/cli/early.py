"""Ctrl-C while `python -m toy` or `python -m deep` still imports: one word instead of a traceback.

Those packages import this before all else; it does nothing where another program imports them.
"""

from __future__ import annotations

import sys
from types import TracebackType

_others = sys.excepthook


def told(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """For `sys.excepthook`: "interrupted", and all else as ever."""
    if issubclass(kind, KeyboardInterrupt):
        print("\ninterrupted", file=sys.stderr)
    else:
        _others(kind, error, where)


if sys.argv[:1] == ["-m"]:  # so Python calls the module that it is about to run, until it has imported its package
    sys.excepthook = told
