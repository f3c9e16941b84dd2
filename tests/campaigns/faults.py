"""Each fault of the system against small runs: a true exit code, one line, and `--resume` to the very same bytes."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaigns.apparatus.endings import untrue
from tests.campaigns.apparatus.layer import Fault
from tests.campaigns.points import Disturbed, disturbed
from tests.support.paths import ROOT

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
STREAMS = {
    "| head -n 1": "{run} | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}",
    "> /dev/full": "{run} > /dev/full",
    "2> /dev/full": "{run} 2> /dev/full",
    "> /dev/full 2>&1": "{run} > /dev/full 2>&1",
    ">&-": "{run} >&-",
    "2>&-": "{run} 2>&-",
    "<&- >&- 2>&-": "{run} <&- >&- 2>&-",
}
"""How a shell may close or fill what a run prints to -> in bash."""
READS = 120
"""More than the events of a small resume's first part, in which it reads."""

Case = tuple[str, Callable[[Disturbed], int]]
"""What is done, in words, and a run to which it is done -> its exit code."""


def campaign(minutes: float, out: Path, seed: int, names: Sequence[str]) -> int:
    """Every fault against each run, in random order while the time lasts; prints counts by kind; 1 if any is wrong."""
    found = 0
    for name in names:
        with disturbed(name, out) as run:
            found += every(run, time.monotonic() + 60 * minutes / len(names), random.Random(seed))
    return int(found > 0)


def every(run: Disturbed, ends: float, chance: random.Random) -> int:
    """The number of faults after which the run did not answer or end as it should."""
    kinds = {
        "EIO": [_fails(at, errno.EIO) for at in range(1, len(run.events) + 1)],
        "EIO from then on": [_full(at, errno.EIO) for at in range(1, len(run.events) + 1)],
        "ENOSPC": [_full(at, errno.ENOSPC) for at in range(1, len(run.events) + 1)],
        "EIO at a resume": [_unread(at, chance.randrange(20, len(run.events))) for at in range(1, READS)],
        "signal at an event": [
            _signalled(at, number) for at in range(1, len(run.events) + 1) for number in SIGNALS
        ],
        "signal at a moment": [_at_a_moment(chance.random(), chance.choice(SIGNALS)) for _ in range(200)],
        "limit on files": [_limited("FSIZE", chance.randrange(60_000)) for _ in range(100)],
        "limit on open files": [_limited("NOFILE", number) for number in range(6, 24)],
        "streams": [_printing_to(name, line) for name, line in STREAMS.items()],
    }  # fmt: skip
    for cases in kinds.values():
        chance.shuffle(cases)
    done, wrong = Counter[str](), Counter[str]()
    for kind, (words, disturb) in _in_turn(kinds):
        if time.monotonic() > ends:
            break
        run.fresh()
        code = disturb(run)
        fault = untrue(code, run.told.read_text(errors="replace"), run.folder, run.whole)
        fault = "; and ".join(filter(None, (fault, run.resumed())))
        done[kind] += 1
        wrong[kind] += bool(fault)
        if fault:
            print(f"{run.name}: {words}: {fault}; see {run.keep(wrong.total())}", flush=True)
    shown = ", ".join(f"{kind} {done[kind]} of {len(cases)}" for kind, cases in kinds.items())
    print(f"faults: {run.name}: {done.total()} faults, {wrong.total()} wrong: {shown}")
    return wrong.total()


def _in_turn(kinds: dict[str, list[Case]]) -> Iterator[tuple[str, Case]]:
    """One case of each kind after another, so that a short campaign has some of all."""
    for number in range(max(map(len, kinds.values()))):
        for kind, cases in kinds.items():
            if number < len(cases):
                yield kind, cases[number]


def _fails(at: int, number: int) -> Case:
    fault = Fault(at, f"fails {number}")
    return str(fault), lambda run: run.once(fault)


def _full(at: int, number: int) -> Case:
    fault = Fault(at, f"full {number}")
    return str(fault), lambda run: run.once(fault)


def _unread(at: int, killed: int) -> Case:
    """Of a run that was killed at another event, where reading counts too."""
    fault = Fault(at, f"fails {errno.EIO}", reads=True)

    def disturb(run: Disturbed) -> int:
        run.once(Fault(killed))
        return run.once(fault)

    return f"{fault} of a run that was killed at event {killed}", disturb


def _signalled(at: int, number: int) -> Case:
    fault = Fault(at, f"signal {number}")
    return str(fault), lambda run: run.once(fault)


def _at_a_moment(share: float, number: int) -> Case:
    def disturb(run: Disturbed) -> int:
        child = run.start(Fault())
        time.sleep(share * run.seconds)
        child.send(number)
        return child.wait()

    return f"{signal.Signals(number).name} after {share:.3f} of its time", disturb


def _limited(what: str, most: int) -> Case:
    return f"RLIMIT_{what} {most}", lambda run: run.start(Fault(), {what: most}).wait()


def _printing_to(name: str, line: str) -> Case:
    def disturb(run: Disturbed) -> int:
        words = '"$PYTHON" "$@"'
        environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with run.told.open("w") as told:
            return subprocess.run(
                ["bash", "-c", line.replace("{run}", words), "bash", *run.words],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told,
                check=False,
            ).returncode  # fmt: skip

    return name, disturb
