"""Damaged files given to every reader of them: one line (UserError) or the right answer, in bounded time and memory."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import resource
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from hyperopt_hn import Hyper, HyperSpace, Run, UserError
from hyperopt_hn.course import Replay
from hyperopt_hn.files import states
from hyperopt_hn.runs.__main__ import main as show

MOST_SECONDS, MOST_BYTES = 10.0, 2**30
STRANGE = (b"1e999", b"-1", b"null", b"NaN", b"9" * 40, b"\xff\xfe", b"[" * 300, b"\x1b[2J")
Reader = Callable[[Path], object]


def _whole_run(path: Path) -> object:
    run = Run(path.parent)
    return len(run.records), list(run.arrays), run.result, run.columns()


def _shown(path: Path) -> object:
    """`hyperopt_hn.runs show`: exit code 0 or 2, never a traceback."""
    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.redirect_stderr(told):
        code = show(["show", str(path.parent)])
    words = told.getvalue()
    if code not in (0, 2) or "Traceback" in words:
        raise AssertionError(f"exit code {code}: {words[-300:]}")
    if strange := {c for c in words if not c.isprintable() and c not in "\n\t"}:
        raise AssertionError(f"control characters reach the terminal: {strange}")
    return code


SPACE = HyperSpace([Hyper("dropout", 0.1, 0.0, 0.9), Hyper("decay", 1e-3, 0.0, log=True)])


def _course(path: Path) -> object:
    return Replay.of_csv(path, SPACE).at(60)


READERS: dict[str, tuple[Reader, ...]] = {
    "config.json": (_whole_run, _shown),
    "log.jsonl": (_whole_run, _shown),
    "clock.jsonl": (_whole_run, _shown),
    "result.json": (_whole_run, _shown),
    "arrays.npz": (_whole_run, _shown),
    "checkpoint.npz": (states.load_state,),
    "best.npz": (states.load_state,),
    "schedule.csv": (_course,),
}
"""File of a run's folder -> what reads it, given the file's path."""


def campaign(minutes: float, out: Path, seed: int, run: Path) -> int:
    """Mutate and read for so long; prints the counts and writes the first failing inputs under `out`; 1 if any."""
    with _silent():
        return _campaign(minutes, out, seed, run)


def _campaign(minutes: float, out: Path, seed: int, run: Path) -> int:
    chance, ends, tried, refused, found = random.Random(seed), time.monotonic() + 60 * minutes, 0, 0, 0
    good = out / "good"
    shutil.copytree(run, good)
    (good / "schedule.csv").write_text("step,dropout,decay\n0,0.1,1e-4\n50,0.2,1e-3\n100,0.3,1e-2\n")
    names = [name for name in READERS if (good / name).is_file()]
    while time.monotonic() < ends:
        name = chance.choice(names)
        whole = (good / name).read_bytes()
        (good / name).write_bytes(mutated(whole, chance))
        for reader in READERS[name]:
            tried += 1
            before, started = _peak(), time.monotonic()
            fault = ""
            try:
                reader(good / name)
            except UserError as error:
                refused += 1
                fault = "" if str(error).count("\n") == 0 else f"more than one line: {error}"
            except Exception:
                fault = traceback.format_exc()
            seconds, grown = time.monotonic() - started, _peak() - before
            if seconds > MOST_SECONDS or grown > MOST_BYTES:
                fault = f"{seconds:.1f} s, {grown / 2**20:.0f} MB more"
            if fault:
                found += 1
                place = out / f"failing-{found}-{name}"
                shutil.copy(good / name, place)
                print(f"{name}: {fault.strip().splitlines()[-1]}; the input is {place}", flush=True)
        (good / name).write_bytes(whole)
    print(f"fuzz: {tried} damaged inputs to {len(names)} kinds of files: {refused} refused in one line, {found} faults")
    return int(found > 0)


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """A few of: bits flipped, bytes set, a piece cut, doubled or moved, the end lost, a number made huge."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        if not data:
            break
        at, kind = chance.randrange(len(data)), chance.randrange(7)
        size = chance.choice((1, 4, 16, 200))
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 10, 34, 44, 45, 57, 91, 123, 125, 255))
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = data[at : at + size]
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at:at] = chance.choice(
                (b"1e999", b"-1", b"null", b"NaN", b"9" * 40, b"\xff\xfe", b"[" * 300, b"\x1b[2J")
            )
        else:
            piece = data[at : at + size]
            data[chance.randrange(len(data)) :][:0] = piece
    return bytes(data)


def _peak() -> int:
    """The most memory that this process has held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """A schedule's odd columns are told by a warning, thousands of times: no logging inside."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)
