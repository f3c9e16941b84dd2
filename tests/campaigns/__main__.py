"""`python -m tests.campaigns kill|faults|processes|fuzz --minutes N [--out DIR] [--seed S]`: long trials.

Exit code 1 if any failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tests.campaigns import faults, fuzz, kill, points, processes, ranks
from tests.campaigns.apparatus.programs import SMALL
from tests.support.paths import ROOT

AT = ("random", "events", "ranks")
"""Where runs are killed."""
STORAGES = ("journal", "sqlite", "postgresql")
"""What processes may share."""


def _some(known: Collection[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        words = text.split(",")
        if unknown := set(words) - set(known):
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are: {', '.join(known)}")
        return words

    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one campaign for so long."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", choices=("kill", "faults", "processes", "fuzz"))
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1, help="of the moments and mutations")
    parser.add_argument(
        "--programs",
        type=_some(kill.PROGRAMS),
        default="toy,toy-global,self-tuner",
        help=f"kill at random: of {', '.join(kill.PROGRAMS)}",
    )
    parser.add_argument(
        "--small",
        type=_some(SMALL),
        default="toy,self-tuner",
        help=f"kill at every event, and faults: of {', '.join(SMALL)}",
    )
    parser.add_argument(
        "--at", type=_some(AT), default=",".join(AT), help=f"kill: of {', '.join(AT)} (of two ranks under torchrun)"
    )
    parser.add_argument(
        "--storages",
        type=_some(STORAGES),
        default="journal,sqlite",
        help=f"processes: which storages they share, of {', '.join(STORAGES)} (a server of its own)",
    )
    parser.add_argument("--out", type=Path, help="where failing inputs stay (default: a temporary folder)")
    given = parser.parse_args(arguments)
    out = given.out or Path(tempfile.mkdtemp(prefix="campaign-"))
    out.mkdir(parents=True, exist_ok=True)
    small = given.small
    if given.name == "faults":
        return faults.campaign(given.minutes, out, given.seed, small)
    if given.name == "processes":
        return processes.campaign(given.minutes, out, given.seed, given.storages)
    if given.name == "kill":
        at = given.at
        minutes, failed = given.minutes / len(at), False
        if "random" in at:
            failed |= bool(kill.campaign(minutes, out, given.seed, tuple(given.programs)))
        if "events" in at:
            failed |= bool(points.campaign(minutes, out, given.seed, small))
        if "ranks" in at:
            failed |= bool(ranks.campaign(minutes, out, given.seed))
        return int(failed)
    words = [
        "-m",
        "toy",
        "local-small",
        "--preset",
        "smoke",
        "--data",
        "digits",
        "--seed",
        "3",
        "--out",
        str(out / "run"),
    ]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (run,) = (path.parent for path in (out / "run").rglob("result.json"))
    return fuzz.campaign(given.minutes, out, given.seed, run)


if __name__ == "__main__":
    sys.exit(main())
