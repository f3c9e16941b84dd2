"""Four processes at once in one run's folder, and in one search's storage, some of them killed and started again."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.apparatus.layer import Fault
from tests.campaigns.apparatus.nursery import Child
from tests.campaigns.apparatus.stored import trials_of
from tests.campaigns.points import Disturbed, disturbed

MANY = 4
REFUSALS = ("is in use by another process", "is a finished run", "is an unfinished run", "holds other files")
"""What a process may be told whose folder another one has."""
KILLED = 0.3
"""The share of the processes that are killed."""
LONGEST = 120.0
"""Seconds after which a process counts as stuck."""


def campaign(minutes: float, out: Path, seed: int, storages: Sequence[str]) -> int:
    """Half of the time in one folder, the rest in shared storages; prints the counts; 1 if anything went wrong."""
    chance, wrong = random.Random(seed), 0
    with disturbed("toy", out) as run:
        wrong += in_one_folder(run, time.monotonic() + 30 * minutes, chance)
    for name in storages:
        with disturbed(name, out) as run:
            wrong += in_one_storage(run, time.monotonic() + 30 * minutes / len(storages), chance)
    return int(wrong > 0)


def in_one_folder(run: Disturbed, ends: float, chance: random.Random) -> int:
    """Rounds of four processes that resume, start again or just start; then one alone finds or makes the whole run."""
    rounds, wrong, codes = 0, 0, Counter[str]()
    while rounds == 0 or time.monotonic() < ends:
        rounds += 1
        run.fresh()
        plain = [word for word in run.words if word != "--resume"]
        flags = [chance.choice((["--resume"], ["--resume"], ["--overwrite"], [])) for _ in range(MANY)]
        children = [_start(run, [*plain, *flag], number) for number, flag in enumerate(flags)]
        faults = _ended(children, run.seconds, chance)
        for child in children:
            code, said = child.wait(), child.said().strip()
            codes[_named(code)] += 1
            refused = code == 2 and said.count("\n") == 0 and any(reason in said for reason in REFUSALS)
            if not ((code == 0 and not said) or code == -signal.SIGKILL or refused):
                faults.append(f"exit code {code}: {said[-300:]}")
        if fault := run.resumed():
            faults.append(fault)
        for fault in faults:
            print(f"one folder, {[' '.join(flag) for flag in flags]}: {fault}; see {run.keep(rounds)}", flush=True)
        wrong += bool(faults)
    told = ", ".join(f"{count} {name}" for name, count in codes.most_common())
    print(f"processes: one folder: {rounds} rounds of {MANY}: {told}; {wrong} rounds wrong")
    return wrong


def in_one_storage(run: Disturbed, ends: float, chance: random.Random) -> int:
    """Rounds of four searches, each with its folder, that share a storage; the killed ones go on until all are done.

    Then no trial runs any more, each belongs to one run, and what a run recorded is what the storage has.
    """
    rounds, wrong, kills, trials = 0, 0, 0, 0
    while rounds == 0 or time.monotonic() < ends:
        rounds += 1
        run.fresh()
        words = run.words
        places = [str(run.folder / f"run{number}") for number in range(MANY)]
        waiting = {number: [*words[:-1], place] for number, place in enumerate(places)}
        faults: list[str] = []
        while waiting and not faults:
            children = {number: _start(run, given, number) for number, given in waiting.items()}
            faults += _ended(list(children.values()), run.seconds, chance)
            for number, child in children.items():
                code, said = child.wait(), child.said().strip()
                kills += code == -signal.SIGKILL
                if code == 0:
                    del waiting[number]
                elif code != -signal.SIGKILL:
                    faults.append(f"exit code {code}: {said[-300:]}")
        if not faults:
            found = trials_of(words[words.index("--storage") + 1])
            trials += len(found.states)
            faults += found.untrue([Path(place) for place in places])
        for fault in faults:
            print(f"{run.name}: {fault}; see {run.keep(rounds)}", flush=True)
        wrong += bool(faults)
    print(
        f"processes: one storage ({run.name}): {rounds} rounds of {MANY}, {kills} kills, {trials} trials; "
        f"{wrong} rounds wrong"
    )
    return wrong


def _start(run: Disturbed, words: Sequence[str], number: int) -> Child:
    return run.nursery.start(words, run.out / f"{run.name}-{number}.stderr", Fault().environment(run.folder))


def _ended(children: Sequence[Child], seconds: float, chance: random.Random) -> list[str]:
    """Wait for all, and kill some of them on the way; those that do not end are named."""
    killed = [(chance.uniform(0, 2 * seconds), child) for child in children if chance.random() < KILLED]
    started, stuck = time.monotonic(), []
    for moment, child in sorted(killed, key=lambda pair: pair[0]):
        time.sleep(max(0.0, started + moment - time.monotonic()))
        child.send(signal.SIGKILL)
    for child in children:
        try:
            child.wait(LONGEST)
        except TimeoutError as error:
            stuck.append(f"{error}: {child.said()[-300:]}")
    return stuck


def _named(code: int) -> str:
    return {0: "finished", 2: "refused", -signal.SIGKILL: "killed"}.get(code, f"exit code {code}")
