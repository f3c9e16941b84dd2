"""Runs in words: one at length, a folder of them in a line each."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.display.lines import describe
from hyperopt_hn.runs.reader import Run


def show(path: Path) -> str:
    """The summary of a run, or the list of a folder's runs. Raises UserError where there is neither."""
    return listing(path) if not is_run(path) and find(path) else summary(Run(path))


def is_run(path: Path) -> bool:
    """Whether this is a run's directory."""
    return (path / "config.json").is_file()


def find(folder: Path) -> list[Path]:
    """The runs in a folder, at any depth, by name."""
    return sorted(file.parent for file in folder.rglob("config.json"))


def expand(paths: Iterable[Path]) -> list[Run]:
    """The runs of these paths, a folder standing for all that it holds. Raises UserError for one without any."""
    found: dict[Path, Run] = {}
    for path in paths:
        for each in [path] if is_run(path) else find(path) or [path]:
            found[each] = Run(each)
    return list(found.values())


def summary(run: Run) -> str:
    """What was run, how it ended, its best and last record."""
    config = run.config
    data = _mapping(config.get("data"))
    lines = [
        f"{config.get('experiment')}/{config.get('arm')}  preset {config.get('preset')}  seed {config.get('seed')}",
        f"data      {data.get('name')}  {data.get('note', '')}".rstrip(),
        f"commit    {config.get('commit') or 'unknown'}{' (changed since)' if config.get('dirty') else ''}",
        f"versions  {'  '.join(f'{k} {v}' for k, v in _mapping(config.get('versions')).items())}",
        f"settings  {'  '.join(f'{k}={v}' for k, v in _mapping(config.get('config')).items())}",
        *([f"command   {shlex.join(run.command)}"] if run.command else []),
        f"records   {len(run.records)}",
    ]
    if run.records:
        last = run.records[-1]
        lines.append(f"last      step {last.get('step')}  {describe(last)}")
    if run.finished:
        result = run.result
        best = _mapping(result.get("best"))
        lines.append(f"best      step {best.get('step')}  {describe(best)}")
        lines.append(f"ended     {result.get('reason')}: {result.get('sentence')} after {result.get('seconds')} s")
        lines.append(f"processor {result.get('cpu_seconds')} s")
    else:
        lines.append("ended     not yet: an unfinished run (--resume goes on)")
    return "\n".join(lines) + "\n"


def listing(folder: Path) -> str:
    """A line for each run of a folder: its place there, how far it is, its best validation loss."""
    paths = find(folder)
    width = max(len(str(path.relative_to(folder))) for path in paths)
    return "".join(f"{path.relative_to(folder)!s:{width}}  {_line(path)}\n" for path in paths)


def _line(path: Path) -> str:
    try:
        run = Run(path)
        losses = [x for x in run.column("valid_loss").tolist() if x == x]
        steps = f"step {run.records[-1].get('step')}" if run.records else "no record"
        ended = f"{run.result.get('reason')}" if run.finished else "unfinished"
        return f"{ended:10}  {steps}" + (f"  best valid_loss {min(losses):.5g}" if losses else "")
    except UserError as error:
        return f"damaged     {error}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
