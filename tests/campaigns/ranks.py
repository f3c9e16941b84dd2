"""Two ranks under torchrun, killed or signalled together or one by one at random moments, and resumed to their end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.campaigns.apparatus.endings import differing, outcome
from tests.support.paths import ROOT

WORDS = (
    "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "deep", "cnn",
    "--preset", "smoke", "--data", "digits", "--seed", "3", "--max-steps", "120", "--resume", "--out",
)  # fmt: skip
LONGEST = 60.0
"""Seconds in which all ranks must have ended after a signal; torchrun itself kills after 30."""
MOST = 6
"""Disturbances of one run, after which it may end in peace."""


def campaign(minutes: float, out: Path, seed: int) -> int:
    """Disturb and resume for so long; prints the counts; 1 if a run differs, hangs or leaves a rank behind."""
    chance, ends = random.Random(seed), time.monotonic() + 60 * minutes
    whole, started = out / "ranks-whole", time.monotonic()
    if code := _start(whole).wait():
        print(f"ranks: end with {code} when nobody disturbs them: {_told(whole).read_text()[-500:]}")
        return 1
    wanted, seconds = outcome(whole), time.monotonic() - started
    done, wrong, number = Counter[str](), 0, 0
    while number == 0 or time.monotonic() < ends:
        number += 1
        folder = out / f"ranks-{number}"
        fault = _one(folder, seconds, chance, done)
        if not fault and (names := differing(outcome(folder), wanted)):
            fault = f"{', '.join(names)} differ"
        if fault:
            wrong += 1
            print(f"ranks: {fault}; see {folder}", flush=True)
        else:
            shutil.rmtree(folder)
    told = ", ".join(f"{count} times {what}" for what, count in done.most_common())
    print(f"ranks: {number} runs of two ranks, {done.total()} disturbances ({told}): {wrong} runs wrong")
    return int(wrong > 0)


def _one(folder: Path, seconds: float, chance: random.Random, done: Counter[str]) -> str:
    """What went wrong on the way to the end of a run."""
    for _ in range(MOST):
        launcher = _start(folder)
        try:
            code = launcher.wait(timeout=chance.uniform(0.3, 1.1) * seconds)
            return f"exit code {code} undisturbed: {_told(folder).read_text()[-500:]}" if code else ""
        except subprocess.TimeoutExpired:
            pass
        ranks = _children(launcher.pid)
        what = _disturb(launcher.pid, ranks, chance)
        done[what] += 1
        try:
            launcher.wait(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            _signal([launcher.pid, *ranks], signal.SIGKILL)
            launcher.wait()
            return f"still running {LONGEST:.0f} s after: {what}"
        if not _gone(ranks):
            _signal(ranks, signal.SIGKILL)
            return f"a rank was left behind after: {what}"
    code = _start(folder).wait()
    return f"exit code {code} at the end: {_told(folder).read_text()[-500:]}" if code else ""


def _disturb(launcher: int, ranks: list[int], chance: random.Random) -> str:
    """Do it, and say what."""
    number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1))
    if number == signal.SIGKILL and (not ranks or chance.random() < 0.5):
        _signal([launcher, *ranks], number)
        return "SIGKILL to all"
    if ranks and (number in (signal.SIGKILL, signal.SIGUSR1) or chance.random() < 0.5):
        _signal([chance.choice(ranks)], number)
        return f"{number.name} to one rank"
    _signal([launcher], number)
    return f"{number.name} to the launcher"


def _start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _told(folder).open("w") as told:
        return subprocess.Popen(
            [sys.executable, *WORDS, str(folder)], cwd=ROOT, env=environment, text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=told,
        )  # fmt: skip


def _children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return sorted(found)


def _gone(pids: list[int]) -> bool:
    """Whether all have ended, perhaps a moment later."""
    end = time.monotonic() + 10
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > end:
            return not left
        time.sleep(0.1)
    return True


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _told(folder: Path) -> Path:
    return folder.with_suffix(".stderr")
