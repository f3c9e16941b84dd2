"""Why a run ends before its schedule: no improvement for long, or a signal that asks it to stop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hyperopt_hn.errors import in_script, on_command_line


@dataclass
class Improvement:
    """The smallest loss so far, and for how many evaluations there was no smaller one."""

    best: float = math.inf
    stale: int = 0

    def improved(self, loss: float) -> bool:
        """Note a loss; whether it is the smallest so far."""
        better = loss < self.best
        self.best, self.stale = (loss, 0) if better else (self.best, self.stale + 1)
        return better

    def over(self, limit: int) -> bool:
        """Whether `limit` evaluations in a row brought nothing better; 0 is no limit."""
        return 0 < limit <= self.stale


class Interrupted(KeyboardInterrupt):
    """A signal ended the run, which was saved; the message says where and how to go on (`typed`: on a shell)."""

    def __init__(self, saved: str) -> None:
        super().__init__(f"{saved}; go on with {in_script('resume')}")
        self.typed = f"{saved}; go on with {on_command_line('resume')}"


@contextmanager
def signals(grace: float) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP sets; one more interrupts at once.

    Not within `grace` seconds, and not a SIGHUP: of a terminal that closes, both the system and the shell send one.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    first, hangup = -math.inf, getattr(signal, "SIGHUP", None)  # Windows has none

    def ask(number: int, frame: Any) -> None:
        nonlocal first
        if stop.is_set() and time.monotonic() - first >= grace and number != hangup:
            raise KeyboardInterrupt
        if not stop.is_set():
            first = time.monotonic()
            stop.set()

    # A handler that was not set from Python cannot be put back: the host that set it keeps it.
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not None]
    # What batch systems send ahead of the time limit, and a terminal that is closed (nohup has it ignored).
    more = (getattr(signal, "SIGUSR1", None), hangup)
    ours += [number for number in more if number is not None and signal.getsignal(number) is signal.SIG_DFL]
    old = {number: signal.signal(number, ask) for number in ours}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
