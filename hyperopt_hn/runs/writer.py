"""Writes a run's directory; `reader.Run` reads it.

config.json      what was run: experiment, settings, seed, data set and its hash, versions, commit
log.jsonl        one record per evaluation; no clock in it, so equal runs leave equal bytes
clock.jsonl      the seconds of each record, resumed time included
arrays.npz       what the finished run leaves for figures
result.json      why it stopped, best and final record, seconds; written last: a run with it is finished
checkpoint.npz   everything the next step depends on, with the length and hash of the record; best.npz the same at
                 the best evaluation; checkpoint.previous.npz the checkpoint before, until the run is finished
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from hyperopt_hn.files import atomic, states
from hyperopt_hn.files.locks import InUseError, lock
from hyperopt_hn.runs import generations, refusals
from hyperopt_hn.runs.appended import Appended
from hyperopt_hn.runs.generations import NPZ, Codec
from hyperopt_hn.runs.reader import FORMAT, read_lines
from hyperopt_hn.runs.settings import plain
from hyperopt_hn.runs.sinks.delivery import Delivery, Sink
from hyperopt_hn.runs.team import ALONE, Team


class RunLog:
    """Writes one run's directory; nothing is touched before every check has passed.

    A finished run is refused unless `overwrite`; an unfinished one unless `resume` (go on from its checkpoint, whose
    settings must be these) or `overwrite`. `config` is plain data; of URLs in it the passwords are left out. Each
    of the `sinks` gets every record once. Raises UserError for a refusal, a configuration that JSON cannot hold, an
    unwritable place, or a run in use.
    """

    def __init__(
        self,
        path: Path | str,
        config: Mapping[str, Any],
        resume: bool = False,
        overwrite: bool = False,
        codec: Codec = NPZ,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self._path = Path(path).absolute()  # the working directory may change
        self._shown = Path(path)
        self.config = {"format": FORMAT, **plain(config)}
        self.codec = codec
        self.agree: Callable[[float], float] = float
        """What several processes that share the run make of their clocks; one goes by its own."""
        self.team: Team = ALONE
        """How they stop together."""
        refusals.check(self._shown, self.config, resume, overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = lock(self.path / ".lock")
        except InUseError as error:
            raise refusals.in_use(self._shown, error.own) from None
        except OSError as error:
            raise refusals.elsewhere(f"cannot write to {self._shown} ({error.strerror})") from None
        try:
            refusals.check(self._shown, self.config, resume, overwrite)  # another process may have been faster
            self._resumed = generations.resume(self.path, codec) if resume and not overwrite else None
            self._open(sinks)
        except OSError as error:
            self._unlock()
            raise refusals.unwritten(f"cannot write to {self._shown}", error) from None
        except BaseException:
            self._unlock()
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
        return self.agree(self._seconds())

    def cpu_seconds(self) -> float:
        """Processor seconds of this run, earlier sittings included; what a GPU does is not in them."""
        return self._cpu_before + time.process_time() - self._cpu_started

    def record(self, entry: Mapping[str, Any]) -> None:
        """Append one evaluation (finite numbers only) to log.jsonl and its time to clock.jsonl; flushed."""
        self._append(self._log, entry)
        self._append(self._clock, {"step": entry["step"], "seconds": round(self._seconds(), 3)})
        self._delivery.add(entry)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace checkpoint.* atomically by this state, once the record is on disk; the one before is kept."""
        self._sync()
        whole = {
            "state": state,
            **generations.marks("log", self._log),
            **generations.marks("clock", self._clock),
            "seconds": self._seconds(),
            "cpu_seconds": self.cpu_seconds(),
        }
        older = generations.previous(self.path, self.codec)
        self._write(generations.newest(self.path, self.codec), lambda file: self.codec.save(file, whole), older)
        self._delivery.flush()

    def best(self, state: Mapping[str, Any]) -> None:
        """Replace best.* atomically by this state."""
        self._write(self.path / f"best.{self.codec.suffix}", lambda file: self.codec.save(file, state))

    def finish(self, result: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Write arrays.npz and, once the record is on disk, result.json: the run is finished."""
        self._write(self.path / "arrays.npz", lambda file: states.save_arrays(file, arrays))
        self._delivery.flush()
        self._sync()
        whole = {**result, "seconds": round(self._seconds(), 3), "cpu_seconds": round(self.cpu_seconds(), 3)}
        self._guarded(self.path / "result.json", lambda: atomic.write_json(self.path / "result.json", whole))
        with suppress(OSError):
            generations.previous(self.path, self.codec).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the record and give the directory free."""
        for file in (self._log, self._clock):
            file.close()
        self._delivery.close()
        self._unlock()

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open(self, sinks: Sequence[Sink]) -> None:
        old = self._resumed or {"log_bytes": 0, "clock_bytes": 0, "seconds": 0.0, "cpu_seconds": 0.0}
        if self._resumed is None:
            for name in ("result.json", "arrays.npz", *generations.names(self.codec)):
                (self.path / name).unlink(missing_ok=True)
            atomic.write_json(self.path / "config.json", self.config)
        for stray in self.path.glob(".*.part"):
            stray.unlink(missing_ok=True)
        self._log = Appended(self.path / "log.jsonl", old["log_bytes"])
        try:
            self._clock = Appended(self.path / "clock.jsonl", old["clock_bytes"])
        except BaseException:
            self._log.close()
            raise
        self._before, self._started = float(old["seconds"]), time.monotonic()
        self._cpu_before, self._cpu_started = float(old["cpu_seconds"]), time.process_time()
        try:
            records = read_lines(self.path / "log.jsonl", "make it again") if sinks else []
            self._delivery = Delivery(sinks, self.path, records)
        except BaseException:
            self._log.close()
            self._clock.close()
            raise

    def _write(self, path: Path, write: Callable[[BinaryIO], None], previous: Path | None = None) -> None:
        self._guarded(path, lambda: atomic.write_atomic(path, write, previous))

    def _sync(self) -> None:
        for file in (self._log, self._clock):
            self._guarded(self._shown, file.sync)

    def _append(self, file: Appended, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        self._guarded(self._shown, lambda: file.write(line.encode()))

    def _guarded(self, path: Path, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            places = (generations.newest(self.path, self.codec), generations.previous(self.path, self.codec))
            there = any(place.exists() for place in places)
            kept = "the last checkpoint is whole" if there else "there was no checkpoint yet"
            raise refusals.unwritten(f"cannot write {path}", error, kept) from None
