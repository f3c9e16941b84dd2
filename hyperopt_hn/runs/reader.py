"""Reads a run's directory: its configuration, its record, its clock, the arrays and the result it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn import files
from hyperopt_hn.errors import UserError

FORMAT = 1
"""Version of the directory's layout; a reader refuses a newer one."""

DEEP = {
    "cnn": "cnn",
    "compare-cnn": "compare cnn",
    "lstm": "lstm",
    "table1": "table1",
    "compare-lstm": "compare lstm",
}
"""Experiments of the deep wing -> how its command line spells them; every other one is the toy wing's."""

RENAMED = {"optimiser": "optimizer", "hyper_optimiser": "hyper_optimizer"}
"""Settings of earlier versions -> their present names."""


class Run:
    """Reads one run's directory; a half-written last line of a record is left out.

    Raises UserError naming the file and the remedy where one is missing or damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config: dict[str, Any] = files.read_json(self.path / "config.json")
        if not isinstance(self.config, dict) or not isinstance(self.config.get("format"), int):
            raise UserError(f"{self.path / 'config.json'} is not a run's configuration; make the run again")
        if self.config["format"] > FORMAT:
            raise UserError(f"{self.path} was written by a newer version; update hyperopt_hn")
        if isinstance(settings := self.config.get("config"), dict):
            self.config["config"] = {RENAMED.get(name, name): value for name, value in settings.items()}
        self.records = _read_lines(self.path / "log.jsonl")
        self._arrays: dict[str, np.ndarray] | None = None

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "result.json").exists()

    @property
    def result(self) -> dict[str, Any]:
        """Why it stopped, its best and final record."""
        return files.read_json(self.path / "result.json")

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the finished run."""
        if self._arrays is None:
            self._arrays = files.load_arrays(self.path / "arrays.npz")
        return self._arrays

    @property
    def steps(self) -> np.ndarray:
        """Steps done at each record, (R,) int64."""
        return self.column("step").astype(np.int64)

    @property
    def seconds(self) -> np.ndarray:
        """Wall-clock seconds at each record, (R,); NaN where the clock's line is missing."""
        clock = _read_lines(self.path / "clock.jsonl")
        times = [float(line.get("seconds", np.nan)) for line in clock[: len(self.records)]]
        return np.array(times + [np.nan] * (len(self.records) - len(times)))

    def column(self, key: str) -> np.ndarray:
        """One number per record, (R,); NaN where a record lacks it. 'hypers/dropout0' goes one level down."""
        return np.array([_number(record, key) for record in self.records])

    def columns(self) -> list[str]:
        """Every key that holds a number in some record, in order of appearance."""
        keys: dict[str, None] = {}
        for record in self.records:
            for key, value in record.items():
                if isinstance(value, Mapping):
                    keys.update({f"{key}/{sub}": None for sub, x in value.items() if isinstance(x, (int, float))})
                elif isinstance(value, (int, float)):
                    keys[key] = None
        return list(keys)


def find_run(root: Path | str, name: str) -> Run:
    """The finished run "experiment/arm" under a root. Raises UserError with the command that makes it."""
    path = Path(root) / name
    if not (path / "result.json").exists():
        raise UserError(f"no finished run {name} under {root}; make it with: {' '.join(maker(name))} --resume")
    return Run(path)


def maker(name: str) -> list[str]:
    """The words of the command that makes the run "experiment/arm", without its settings."""
    experiment = name.split("/", 1)[0]
    return ["python", "-m", *(["deep", *DEEP[experiment].split()] if experiment in DEEP else ["toy", experiment])]


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make the run again") from None
    records = []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last newline was never finished
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{path} line {number} is damaged; make the run again with --overwrite")
        records.append(record)
    return records


def _number(record: Mapping[str, Any], key: str) -> float:
    node: Any = record
    for part in key.split("/"):
        node = node.get(part) if isinstance(node, Mapping) else None
    return float(node) if isinstance(node, (int, float)) else float("nan")
