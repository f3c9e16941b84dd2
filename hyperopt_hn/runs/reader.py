"""Reads a run's directory: its configuration, its record, its clock, the arrays and the result it leaves."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn.errors import UnreadError, UserError
from hyperopt_hn.files import atomic, states

FORMAT = 1
"""Version of the directory's layout; a reader refuses a newer one."""

RENAMED = {"optimiser": "optimizer", "hyper_optimiser": "hyper_optimizer"}
"""Settings of earlier versions -> their present names."""


class Run:
    """Reads one run's directory; a half-written last line of a record is left out.

    Raises UserError naming the file and the remedy where one is missing or damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config: dict[str, Any] = atomic.read_json(self.path / "config.json")
        if not isinstance(self.config, dict) or not isinstance(self.config.get("format"), int):
            raise UserError(f"{self.path / 'config.json'} is not a run's configuration; make the run again")
        if self.config["format"] > FORMAT:
            raise UserError(f"{self.path} was written by a newer version; update hyperopt_hn")
        if isinstance(settings := self.config.get("config"), dict):
            self.config["config"] = {RENAMED.get(name, name): value for name, value in settings.items()}
        self.records = read_lines(self.path / "log.jsonl", self.remake())
        self._arrays: dict[str, np.ndarray] | None = None

    @property
    def command(self) -> list[str]:
        """The words of the command that made the run, its settings among them; none where that is not recorded."""
        return _command(self.config)

    def remake(self) -> str:
        """What to do to have the run made again: the command, or in words where that is not recorded."""
        return f"make it again: {shlex.join([*self.command, '--overwrite'])}" if self.command else "make it again"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "result.json").exists()

    @property
    def result(self) -> dict[str, Any]:
        """Why it stopped, its best and final record."""
        found = atomic.read_json(self.path / "result.json")
        if not isinstance(found, dict):
            raise UserError(f"{self.path / 'result.json'} is no run's result; {self.remake()}")
        return found

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the finished run."""
        if self._arrays is None:
            self._arrays = states.load_arrays(self.path / "arrays.npz")
        return self._arrays

    @property
    def steps(self) -> np.ndarray:
        """Steps done at each record, (R,) int64."""
        return self.column("step").astype(np.int64)

    @property
    def seconds(self) -> np.ndarray:
        """Wall-clock seconds at each record, (R,); NaN where the clock's line is missing."""
        clock = read_lines(self.path / "clock.jsonl", self.remake())
        times = [number_at(line, "seconds") for line in clock[: len(self.records)]]
        return np.array(times + [np.nan] * (len(self.records) - len(times)))

    def column(self, key: str) -> np.ndarray:
        """One number per record, (R,); NaN where a record lacks it. 'hypers/dropout0' goes one level down.

        A name may hold slashes itself: 'hypers/layer1/dropout'.
        """
        return np.array([number_at(record, key) for record in self.records])

    def columns(self) -> list[str]:
        """Every key that holds a number in some record, in order of appearance."""
        return columns_of(self.records)


def columns_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every key that holds a number in some record, in order of appearance; "hypers/dropout0" one level down."""
    keys: dict[str, None] = {}
    for record in records:
        for key, value in record.items():
            if isinstance(value, Mapping):
                keys.update({f"{key}/{sub}": None for sub, x in value.items() if isinstance(x, (int, float))})
            elif isinstance(value, (int, float)):
                keys[key] = None
    return list(keys)


def recorded_command(path: Path) -> list[str]:
    """The command in a run's config.json, whatever else is damaged; no words where there is none."""
    try:
        return _command(atomic.read_json(path / "config.json"))
    except UserError:
        return []


def find_run(root: Path | str, name: str, command: Sequence[str] = ()) -> Run:
    """The finished run "experiment/arm" under a root. Raises UserError with the command that makes it, if given."""
    path = Path(root) / name
    if not (path / "result.json").exists():
        remedy = f"make it with: {shlex.join([*command, '--resume'])}" if command else "make it first"
        raise UserError(f"no finished run {name} under {root}; {remedy}")
    return Run(path)


def _command(config: Any) -> list[str]:
    words = config.get("command") if isinstance(config, Mapping) else None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else []


def read_lines(path: Path, remedy: str) -> list[dict[str, Any]]:
    """The records of a .jsonl file without a last line that was never finished. Raises UserError with the remedy."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {remedy}") from None
    except OSError as error:
        raise UnreadError(path, error) from None
    records = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last newline was never finished
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{path} line {number} is damaged; {remedy}")
        records.append(record)
    return records


def number_at(node: Any, key: str) -> float:
    """The number at a path of names, each of which may hold slashes; NaN if there is none."""
    if isinstance(node, (int, float)) and not key:
        return float(node)
    if not isinstance(node, Mapping):
        return float("nan")
    heads = [key[:at] for at, letter in enumerate(f"{key}/") if letter == "/"]
    for head in reversed(heads):  # the longest name first
        if head in node:
            found = number_at(node[head], key[len(head) + 1 :])
            if found == found:
                return found
    return float("nan")
