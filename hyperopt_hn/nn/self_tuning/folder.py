"""Where a run goes: a finished or killed run is never lost, and running the same script again simply works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

from hyperopt_hn.nn import distributed


@dataclass(frozen=True)
class Place:
    """The folder of a run, whether it is gone on with there or finished already, and a line to say about it."""

    path: Path
    resume: bool = False
    finished: bool = False
    line: str = ""


def choose(out: Path | str, resume: bool, overwrite: bool) -> Place:
    """`out` itself where it is free or `overwrite`; else the next of out-2, out-3, … with a line that says so.

    With `resume` the newest of them is gone on with, or taken as it is if it is finished. The same on all ranks.
    """
    if distributed.world() == 1:
        return _choose(Path(out), resume, overwrite)
    found = [_choose(Path(out), resume, overwrite) if distributed.rank() == 0 else None]
    dist.broadcast_object_list(found)
    assert found[0] is not None
    return found[0]


def _choose(out: Path, resume: bool, overwrite: bool) -> Place:
    newest = max(_there(out), default=0)
    if newest == 0 or overwrite:
        return Place(out)
    path = _numbered(out, newest)
    finished = (path / "result.json").exists()
    if resume:
        line = f"{path} is finished already: its result is given back (overwrite=True runs it again)"
        return Place(path, True, finished, line if finished else f"going on in {path}")
    fresh = _numbered(out, newest + 1)
    if finished:
        return Place(fresh, line=f"{path} holds a finished run; this one goes to {fresh} (overwrite=True replaces it)")
    return Place(
        fresh,
        line=f"{path} holds an unfinished run (resume=True goes on with it, overwrite=True replaces it); "
        f"this one goes to {fresh}",
    )


def _there(out: Path) -> Iterator[int]:
    """The numbers of the runs that there are: 1 for `out` itself, 2 for out-2, and so on."""
    if (out / "config.json").exists():
        yield 1
    if out.parent.is_dir():
        for other in out.parent.iterdir():
            match = re.fullmatch(re.escape(out.name) + r"-(\d+)", other.name)
            if match and (other / "config.json").exists():
                yield int(match[1])


def _numbered(out: Path, number: int) -> Path:
    return out if number == 1 else out.with_name(f"{out.name}-{number}")
