"""Runs killed by SIGKILL at random moments and resumed to their end: their bytes against one that nobody killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

COMMON = ["--preset", "smoke", "--data", "digits", "--seed", "3"]
SELF_TUNER = (
    "import sys; from tests.support.self_tuned import data, self_tuner\n"
    "self_tuner(seed=3).fit(*data(), steps=400, batch_size=50, out=sys.argv[1], resume=True, quiet=True)\n"
)
PROGRAMS = {
    "toy": ["-m", "toy", "local-small", *COMMON, "--steps", "3000"],
    "toy-global": ["-m", "toy", "global-small", *COMMON, "--steps", "600", "--warmup", "600", "--tune-after", "100"],
    "cnn": ["-m", "deep", "cnn", *COMMON],
    "lstm": ["-m", "deep", "lstm", "--preset", "smoke", "--data", "topics", "--seed", "3"],
    "table1": ["-m", "deep", "table1", "--preset", "smoke", "--data", "topics", "--seed", "3"],
    "compare": ["-m", "deep", "compare-cnn", *COMMON, "--arms", "random,tpe,pbt"],
    "self-tuner": ["-c", SELF_TUNER],
}
"""Name -> the words after `python`; a folder and what resumes follow."""
COMPARED = ("log.jsonl", "arrays.npz")
LONGEST = 40
"""Kills of one run, after which it is let go."""
FEWEST = 20
"""Runs after which the time is up though all were faster than their killer."""


@dataclass
class Tally:
    """What came of it."""

    kills: int = 0
    runs: int = 0
    differing: int = 0
    broken: int = 0


def campaign(minutes: float, out: Path, seed: int, names: tuple[str, ...]) -> int:
    """Kill and resume for so long, and until one was killed; print the counts, keep what went wrong; 1 if any did."""
    chance, ends, tally = random.Random(seed), time.monotonic() + 60 * minutes, Tally()
    wholes: dict[str, tuple[dict[str, bytes], float]] = {}
    number = 0
    while time.monotonic() < ends or (not tally.kills and tally.runs < FEWEST):
        name = names[number % len(names)]
        number += 1
        if name not in wholes:
            started = time.monotonic()
            if code := _start(name, out / f"whole-{name}").wait():
                print(f"{name}: ends with {code} when nobody kills it")
                return 1
            wholes[name] = _bytes(out / f"whole-{name}"), time.monotonic() - started
        files, seconds = wholes[name]
        _one(name, out / f"killed-{number}", files, seconds, chance, tally)
    print(
        f"kill: {tally.kills} kills in {tally.runs} runs of {', '.join(names)}: {tally.differing} differ, "
        f"{tally.broken} could not go on"
    )
    return int(bool(tally.differing or tally.broken))


def _one(name: str, folder: Path, files: dict[str, bytes], seconds: float, chance: random.Random, tally: Tally) -> None:
    tally.runs += 1
    for _ in range(LONGEST):
        process = _start(name, folder)
        try:
            code = process.wait(timeout=chance.uniform(0.0, 1.2 * seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            tally.kills += 1
            continue
        break
    else:
        code = _start(name, folder).wait()
    if code:
        tally.broken += 1
        print(f"{name}: ends with {code} after kills, see {folder}: {_told(folder).read_text()}")
        return
    found = _bytes(folder)
    if found != files:
        tally.differing += 1
        print(f"{name}: {[k for k in files if found.get(k) != files[k]]} differ, see {folder}")
        return
    shutil.rmtree(folder)
    _told(folder).unlink()


def _start(name: str, folder: Path) -> subprocess.Popen[str]:
    words = PROGRAMS[name]
    last = [str(folder)] if words[0] == "-c" else ["--out", str(folder), "--resume"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _told(folder).open("w") as told:
        return subprocess.Popen(
            [sys.executable, *words, *last], cwd=ROOT, env=environment, text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=told,
        )  # fmt: skip


def _told(folder: Path) -> Path:
    """What a run's process said last."""
    return folder.with_suffix(".stderr")


def _bytes(folder: Path) -> dict[str, bytes]:
    """The compared files of every run below a folder, by their places."""
    return {str(p.relative_to(folder)): p.read_bytes() for k in COMPARED for p in sorted(folder.rglob(k))}
