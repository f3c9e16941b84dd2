"""Several runs side by side, each a process of its own, in an order that respects what reads what."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SLOT = "HYPEROPT_HN_SLOT"
"""Environment variable with the number of a process's place, 0 … jobs-1; with several GPUs it picks one."""
PARENT = "HYPEROPT_HN_PARENT"
"""Environment variable with the descriptor of a pipe that closes when the parent ends, however it ends."""
POLL = 0.2  # seconds between looks at the processes


@dataclass(frozen=True)
class Job:
    """A command, and the names of the jobs that must have ended well before it."""

    name: str
    words: tuple[str, ...]
    after: tuple[str, ...] = ()


@dataclass
class _State:
    """What waits, what runs at which place, and the exit codes of what has ended (128 + n after signal n)."""

    waiting: list[Job]
    running: dict[int, tuple[Job, subprocess.Popen[bytes]]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)


def run_jobs(jobs: Sequence[Job], places: int) -> int:
    """Run every job, at most `places` at a time; returns the largest exit code, 128 + n for one ended by signal n.

    A job whose forerunner failed is not started; what failed is named at the end. The processor's cores are divided
    unless OMP_NUM_THREADS says otherwise. Ctrl-C and SIGTERM are handed on, and the jobs save and end; they do so too
    when this process is killed.
    """
    state, names = _State(list(jobs)), {job.name for job in jobs}
    places = max(1, min(places, len(jobs)))
    with _pipe() as (watched, environment), _terminated():
        try:
            while state.waiting or state.running:
                _collect(state)
                _start(state, names, places, watched, environment)
                time.sleep(POLL)
        except KeyboardInterrupt:
            _stop(state)
            raise
    failed = [f"{name} ({_reason(code)})" for name, code in state.ended.items() if code]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return max(state.ended.values(), default=0)


def end_with_parent() -> None:
    """In a job: SIGTERM, after which a run saves itself and ends, as soon as the process that started it is gone."""
    descriptor = os.environ.pop(PARENT, None)
    if descriptor is None:
        return

    def watch(number: int) -> None:
        with suppress(OSError):  # not our pipe: nothing to wait for
            while os.read(number, 1):
                pass
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, args=(int(descriptor),), daemon=True).start()


def _collect(state: _State) -> None:
    for place, (job, process) in list(state.running.items()):
        code = process.poll()
        if code is not None:
            state.ended[job.name] = code if code >= 0 else 128 - code
            del state.running[place]


def _start(state: _State, names: set[str], places: int, watched: int, environment: Mapping[str, str]) -> None:
    """Start what can be started."""
    left = []
    for job in state.waiting:
        needed = [name for name in job.after if name in names]
        free = next((place for place in range(places) if place not in state.running), None)
        if any(state.ended.get(name, 0) for name in needed):
            print(f"{job.name} is left out: it needs {', '.join(needed)}", file=sys.stderr)
            state.ended[job.name] = 1
        elif free is not None and all(name in state.ended for name in needed):
            own = {**_threads(places), **os.environ, **environment, SLOT: str(free)}
            # A group of its own, so that a terminal's Ctrl-C reaches it once, by this process.
            kept = (watched,) if os.name == "posix" else ()
            process = subprocess.Popen(job.words, env=own, pass_fds=kept, start_new_session=True)
            state.running[free] = (job, process)
        else:
            left.append(job)
    state.waiting = left


def _threads(places: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // places))}


def _stop(state: _State) -> None:
    """Ask the jobs to save and end, and wait for them; asked again, do not wait."""
    for _ in range(2):
        for _, process in state.running.values():
            with suppress(ProcessLookupError):
                process.terminate()
        try:
            for _, process in state.running.values():
                process.wait()
            return
        except KeyboardInterrupt:
            continue


def _reason(code: int) -> str:
    if code <= 128:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit code {code}"


@contextmanager
def _pipe() -> Iterator[tuple[int, dict[str, str]]]:
    """A descriptor that closes with this process, for its jobs, and how they learn its number."""
    read, write = os.pipe()
    try:
        yield read, {PARENT: str(read)}
    finally:
        os.close(read)
        os.close(write)


@contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM is a KeyboardInterrupt here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old if old is not None else signal.SIG_DFL)
