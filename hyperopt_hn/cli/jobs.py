"""Several runs side by side, each a process of its own, in an order that respects what reads what."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SLOT = "HYPEROPT_HN_SLOT"
"""Environment variable with the number of a process's place, 0 … jobs-1; with several GPUs it picks one."""
POLL = 0.2  # seconds between looks at the processes


@dataclass(frozen=True)
class Job:
    """A command, and the names of the jobs that must have ended well before it."""

    name: str
    words: tuple[str, ...]
    after: tuple[str, ...] = ()


def run_jobs(jobs: Sequence[Job], places: int) -> int:
    """Run every job, at most `places` at a time; returns the largest exit code.

    A job whose forerunner failed is not started. The processor's cores are divided unless OMP_NUM_THREADS says
    otherwise. A Ctrl-C reaches the processes themselves, which save and end.
    """
    waiting, ended = list(jobs), dict[str, int]()
    running: dict[int, tuple[Job, subprocess.Popen[bytes]]] = {}
    try:
        while waiting or running:
            for place, (job, process) in list(running.items()):
                if process.poll() is not None:
                    ended[job.name] = process.returncode
                    del running[place]
            waiting = _start(waiting, running, ended, {job.name for job in jobs}, places)
            time.sleep(POLL)
    except KeyboardInterrupt:
        for _, process in running.values():
            process.wait()
        raise
    return max(ended.values(), default=0)


def _start(
    waiting: list[Job],
    running: dict[int, tuple[Job, subprocess.Popen[bytes]]],
    ended: dict[str, int],
    names: set[str],
    places: int,
) -> list[Job]:
    """Start what can be started; returns what still waits."""
    left = []
    for job in waiting:
        needed = [name for name in job.after if name in names]
        free = [place for place in range(places) if place not in running]
        if any(ended.get(name, 0) for name in needed):
            print(f"{job.name} is left out: it needs {', '.join(needed)}", file=sys.stderr)
            ended[job.name] = 1
        elif free and all(name in ended for name in needed):
            running[free[0]] = (job, subprocess.Popen(job.words, env=_environment(free[0], places)))
        else:
            left.append(job)
    return left


def _environment(place: int, places: int) -> Mapping[str, str]:
    threads = str(max(1, (os.cpu_count() or 1) // places))
    return {"OMP_NUM_THREADS": threads, **os.environ, SLOT: str(place)}
