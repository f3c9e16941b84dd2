"""How a run ended: what it left, and whether its exit code and its last words are true."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path

CLOCKS = ("seconds", "cpu_seconds")
CAUGHT = 130
"""Exit code of a run that was asked to stop."""


def outcome(folder: Path) -> dict[str, bytes]:
    """What every finished run below a folder leaves: record, arrays, best state, result without its clocks."""
    found = {}
    for result in sorted(folder.rglob("result.json")):
        kept = {name: value for name, value in json.loads(result.read_bytes()).items() if name not in CLOCKS}
        found[str(result.relative_to(folder))] = json.dumps(kept).encode()
        for path in (result.with_name(name) for name in ("log.jsonl", "arrays.npz", "best.npz")):
            if path.exists():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def differing(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    """The files that are not as they should be."""
    return [name for name in sorted({**found, **wanted}) if found.get(name) != wanted.get(name)]


def untrue(code: int, said: str, folder: Path, wanted: Mapping[str, bytes]) -> str:
    """What is wrong with a run's exit code and standard error, given what it should have left; empty: nothing."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith("warning: ")]
    if "Traceback" in said:
        return f"a traceback: {lines[-1]}"
    if code == 0:
        wrong = differing(outcome(folder), wanted)
        return f"exit code 0, but {', '.join(wrong)} differ" if wrong else ""
    if code < 0:
        return f"ended by {signal.Signals(-code).name} with words: {lines[-1]}" if lines else ""
    if len(errors) != 1:
        return f"exit code {code} with {len(errors)} lines: {' | '.join(errors)[-300:]}"
    if code == CAUGHT:
        return (
            "" if "resume" in errors[0] or errors[0] == "interrupted" else f"nothing said of what is kept: {errors[0]}"
        )
    if code != 2 or not errors[0].startswith("error: "):
        return f"exit code {code}: {errors[0]}"
    if "checkpoint is whole" in errors[0] and not list(folder.rglob("checkpoint*")):
        return f"speaks of a checkpoint that is not there: {errors[0]}"
    if "overwrite" in errors[0] or "delete" in errors[0]:
        return f"the advice destroys what is whole: {errors[0]}"
    return (
        "" if any(word in errors[0] for word in ("resume", "another place", "try again")) else f"no remedy: {errors[0]}"
    )
