"""Every event between a small run and the disk, in turn: the process killed there, resumed, its bytes compared."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.apparatus.endings import differing, outcome
from tests.campaigns.apparatus.layer import Fault
from tests.campaigns.apparatus.nursery import Child, Nursery
from tests.campaigns.apparatus.postgres import Server, server
from tests.campaigns.apparatus.programs import SMALL, Small


@dataclass
class Disturbed:
    """A small run; what it leaves when nobody disturbs it, its events, a line each, and how long it takes."""

    name: str
    small: Small
    nursery: Nursery
    out: Path
    whole: dict[str, bytes] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    seconds: float = 0.0
    server: Server | None = None
    """Where it shares a search in a database."""

    @property
    def words(self) -> list[str]:
        """What it is after `python`."""
        return self.small.at(self.folder, self.server.url if self.server else "")

    @property
    def folder(self) -> Path:
        """Where it is disturbed."""
        return self.out / f"{self.name}-disturbed"

    @property
    def told(self) -> Path:
        """Its last words."""
        return self.out / f"{self.name}.stderr"

    def fresh(self) -> None:
        """Nothing is there yet."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.server:
            self.server.fresh()

    def start(self, fault: Fault, limits: Mapping[str, int] | None = None) -> Child:
        """The run, disturbed so, gone on with if something is there."""
        return self.nursery.start(self.words, self.told, fault.environment(self.folder), limits)

    def once(self, fault: Fault) -> int:
        """Its exit code."""
        return self.start(fault).wait()

    def counted(self, reads: bool = False) -> list[str]:
        """The events of a run that nobody disturbs."""
        trace = self.out / f"{self.name}.events"
        trace.unlink(missing_ok=True)
        environment = Fault(reads=reads).environment(self.folder, trace)
        self.nursery.start(self.words, self.told, environment).wait()
        return trace.read_text().splitlines()

    def resumed(self) -> str:
        """What is wrong once the run has gone on to its end; empty: nothing."""
        if not differing(outcome(self.folder), self.whole):
            return ""
        if code := self.once(Fault()):
            return f"cannot go on: exit code {code}: {self.told.read_text(errors='replace').strip()[-300:]}"
        wrong = differing(outcome(self.folder), self.whole)
        return f"{', '.join(wrong)} differ" if wrong else ""

    def keep(self, number: int) -> Path:
        """A copy of what is there, for whoever looks after a failure."""
        place = self.out / f"failing-{self.name}-{number}"
        shutil.copytree(self.folder, place, dirs_exist_ok=True)
        return place


@contextmanager
def disturbed(name: str, out: Path, reads: bool = False) -> Iterator[Disturbed]:
    """A small run in a nursery of its own, run twice undisturbed to learn its bytes and its events."""
    out.mkdir(parents=True, exist_ok=True)
    with Nursery() as nursery, server() if name == "postgresql" else nullcontext() as database:
        run = Disturbed(name, SMALL[name], nursery, out, server=database)
        run.fresh()
        if code := nursery.learn(run.words, run.told):
            raise RuntimeError(f"{name} ends with {code} when nobody disturbs it: {run.told.read_text()}")
        run.whole = outcome(run.folder)
        run.fresh()
        started = time.monotonic()
        run.events = run.counted(reads)
        run.seconds = time.monotonic() - started
        if differing(outcome(run.folder), run.whole):
            raise RuntimeError(f"{name} does not leave the same bytes twice")
        yield run
        shutil.rmtree(run.folder, ignore_errors=True)


def campaign(minutes: float, out: Path, seed: int, names: Sequence[str]) -> int:
    """Kill at every event of each run, in random order while the time lasts; 1 if any went wrong."""
    found = 0
    for name in names:
        with disturbed(name, out) as run:
            found += killed_everywhere(run, time.monotonic() + 60 * minutes / len(names), random.Random(seed))
    return int(found > 0)


def killed_everywhere(run: Disturbed, ends: float, chance: random.Random) -> int:
    """The number of points after which a run did not end as it should; every write is also cut in its middle."""
    cases = [(at, "kill") for at in range(1, len(run.events) + 1)]
    cases += [(at, "torn") for at, event in enumerate(run.events, 1) if " write " in event or " pwrite" in event]
    chance.shuffle(cases)
    total, identical, wrong = 0, 0, 0
    for at, how in cases:
        if time.monotonic() > ends:
            break
        total += 1
        run.fresh()
        fault = Fault(at, how)
        code = run.once(fault)
        fault_found = run.resumed() if code == -9 else f"was not killed, exit code {code}"
        if fault_found:
            wrong += 1
            print(f"{run.name}: {fault} ({run.events[at - 1]}): {fault_found}; see {run.keep(at)}", flush=True)
        identical += not fault_found
    left = f", {len(cases) - total} points left for want of time" if total < len(cases) else ""
    print(
        f"kill: {run.name}: {len(run.events)} events, killed at {total} points: {identical} of {total} identical{left}"
    )
    return wrong
