"""A run's directory: RunLog writes it, Run reads it, `python -m hyperopt_hn.runs show|csv|plot RUN` shows it.

config.json      what was run: experiment, settings, seed, data set and its hash, versions, commit
log.jsonl        one record per evaluation; no clock in it, so equal runs leave equal bytes
clock.jsonl      the seconds of each record, resumed time included
arrays.npz       what the finished run leaves for figures
result.json      why it stopped, best and final record, seconds; written last: a run with it is finished
checkpoint.npz   everything the next step depends on; best.npz the same at the best evaluation
"""

from __future__ import annotations

import errno
import fcntl
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from hyperopt_hn import files
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import FORMAT, Run, find_run, maker

__all__ = ["FORMAT", "NPZ", "Codec", "Run", "RunLog", "find_run", "maker"]


@dataclass(frozen=True)
class Codec:
    """How a state becomes a file and back; `nn` has one for tensors."""

    suffix: str
    save: Callable[[BinaryIO, Mapping[str, Any]], None]
    load: Callable[[Path], dict[str, Any]]


NPZ = Codec("npz", files.save_state, files.load_state)


class RunLog:
    """Writes one run's directory; nothing is touched before every check has passed.

    A finished run is refused unless `overwrite`; an unfinished one unless `resume` (go on from its checkpoint, whose
    settings must be these) or `overwrite`. Raises UserError for that, an unwritable place, or a run in use.
    """

    def __init__(
        self,
        path: Path | str,
        config: Mapping[str, Any],
        resume: bool = False,
        overwrite: bool = False,
        codec: Codec = NPZ,
    ) -> None:
        self._path = Path(path)
        self.config = {"format": FORMAT, **config}
        self.codec = codec
        self._check(resume, overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / ".lock", "w")  # noqa: SIM115  held for the life of the run
        except OSError as error:
            raise UserError(
                f"cannot write to {self.path} ({error.strerror}); choose another place with --out"
            ) from None
        try:
            self._claim()
            self._resumed = self._load() if resume and not overwrite else None
            self._open()
        except BaseException:
            self._lock.close()
            raise

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    @property
    def resumed(self) -> dict[str, Any] | None:
        """The state to go on from, None for a fresh run."""
        return None if self._resumed is None else self._resumed["state"]

    def seconds(self) -> float:
        """Wall-clock seconds of this run, earlier sittings included."""
        return self._before + time.monotonic() - self._started

    def cpu_seconds(self) -> float:
        """Processor seconds of this run, earlier sittings included; what a GPU does is not in them."""
        return self._cpu_before + time.process_time() - self._cpu_started

    def record(self, entry: Mapping[str, Any]) -> None:
        """Append one evaluation (finite numbers only) to log.jsonl and its time to clock.jsonl; flushed."""
        self._append(self._log, entry)
        self._append(self._clock, {"step": entry["step"], "seconds": round(self.seconds(), 3)})

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace checkpoint.* atomically by this state and the present length of the record."""
        whole = {
            "state": state,
            "log_bytes": self._log.tell(),
            "clock_bytes": self._clock.tell(),
            "seconds": self.seconds(),
            "cpu_seconds": self.cpu_seconds(),
        }
        self._write(self._file("checkpoint"), lambda file: self.codec.save(file, whole))

    def best(self, state: Mapping[str, Any]) -> None:
        """Replace best.* atomically by this state."""
        self._write(self._file("best"), lambda file: self.codec.save(file, state))

    def finish(self, result: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Write arrays.npz, then result.json: the run is finished."""
        self._write(self.path / "arrays.npz", lambda file: files.save_arrays(file, arrays))
        files.write_json(
            self.path / "result.json",
            {**result, "seconds": round(self.seconds(), 3), "cpu_seconds": round(self.cpu_seconds(), 3)},
        )
        self.close()

    def close(self) -> None:
        """Close the record and give the directory free."""
        for file in (self._log, self._clock, self._lock):
            file.close()

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{self.path} is in use by another process; wait for it or choose another --out") from None

    def _check(self, resume: bool, overwrite: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file, not a directory; choose another place with --out")
        if overwrite or not (self.path / "config.json").exists():
            if not overwrite and self.path.is_dir() and any(p.name != ".lock" for p in self.path.iterdir()):
                raise UserError(f"{self.path} holds other files; choose another place with --out")
            return
        if (self.path / "result.json").exists():
            raise UserError(f"{self.path} is a finished run; use --overwrite to make it again")
        if not resume:
            raise UserError(f"{self.path} is an unfinished run; use --resume to go on or --overwrite to start again")
        self._check_same(files.read_json(self.path / "config.json"))

    def _check_same(self, old: Any) -> None:
        if not isinstance(old, dict) or old.get("format", 0) > FORMAT:
            raise UserError(
                f"{self.path}/config.json was written by a newer version; update hyperopt_hn or --overwrite"
            )
        for key in ("experiment", "arm", "preset", "seed", "config", "data"):
            mine = json.loads(json.dumps(self.config.get(key)))
            if old.get(key) != mine:
                raise UserError(
                    f"{self.path} was started with other settings ({_difference(key, old.get(key), mine)}); "
                    "give the same ones to resume, or use --overwrite"
                )

    def _load(self) -> dict[str, Any] | None:
        file = self._file("checkpoint")
        if not file.exists():  # killed before its first checkpoint: start again from nothing
            return None
        whole = self.codec.load(file)
        if {"state", "log_bytes", "clock_bytes", "seconds", "cpu_seconds"} - set(whole):
            raise UserError(f"{file} is not a checkpoint of this program; start the run again with --overwrite")
        return whole

    def _open(self) -> None:
        old = self._resumed or {"log_bytes": 0, "clock_bytes": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        if self._resumed is None:
            for name in ("result.json", "arrays.npz", self._file("checkpoint").name, self._file("best").name):
                (self.path / name).unlink(missing_ok=True)
            files.write_json(self.path / "config.json", self.config)
        for stray in self.path.glob(".*.part"):
            stray.unlink(missing_ok=True)
        self._log = _reopen(self.path / "log.jsonl", old["log_bytes"])
        self._clock = _reopen(self.path / "clock.jsonl", old["clock_bytes"])
        self._before, self._started = float(old["seconds"]), time.monotonic()
        self._cpu_before, self._cpu_started = float(old["cpu_seconds"]), time.process_time()

    def _file(self, stem: str) -> Path:
        return self.path / f"{stem}.{self.codec.suffix}"

    def _write(self, path: Path, write: Callable[[BinaryIO], None]) -> None:
        try:
            files.write_atomic(path, write)
        except OSError as error:
            raise UserError(
                f"cannot write {path} ({error.strerror}); the last checkpoint is whole: make room, then --resume"
            ) from None

    def _append(self, file: FileIO, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            if file.write(line.encode()) < len(line.encode()):  # unbuffered: part of a line on a full disk
                raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise UserError(f"cannot write to {self.path} ({error.strerror}); make room, then --resume") from None


def _reopen(path: Path, size: int) -> FileIO:
    # Unbuffered, so that every record is in the file at once and nothing is left to write when it is closed.
    file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115  held for the life of the run
    file.truncate(size)
    file.seek(size)
    return file


def _difference(key: str, old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                return f"{name} was {old.get(name)!r}, now {new.get(name)!r}"
    return f"{key} was {old!r}, now {new!r}"


if __name__ == "__main__":
    from hyperopt_hn.runs.__main__ import main

    raise SystemExit(main())
