"""A run's directory for one process or several, with TensorBoard beside it if it is wanted."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyperopt_hn.errors import UserError
from hyperopt_hn.loop import Log
from hyperopt_hn.nn import distributed
from hyperopt_hn.runs.writer import Codec


def open_log(path: Path, config: Mapping[str, Any], codec: Codec, resume: bool = False, overwrite: bool = False) -> Log:
    """`parallel.open_log`; with `tensorboard` among the settings, each record goes to <run>/tensorboard too."""
    wanted = bool(config["config"].get("tensorboard"))
    if wanted and importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs the package of that name: pip install tensorboard")
    log = distributed.open_log(path, config, codec, resume, overwrite)
    return Mirrored(log) if wanted and distributed.rank() == 0 else log


def is_main_process() -> bool:
    """Whether this process is the one that talks to the user."""
    return distributed.rank() == 0


class Mirrored:
    """A log whose records are TensorBoard scalars too: "valid_loss", "hypers/dropout0", … by step."""

    def __init__(self, log: Log) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._log = log
        done = log.resumed["loop"]["done"] if log.resumed else 0
        self._writer = SummaryWriter(str(log.path / "tensorboard"), purge_step=done + 1 if done else None)

    @property
    def path(self) -> Path:
        """The directory."""
        return self._log.path

    @property
    def resumed(self) -> dict[str, Any] | None:
        """The state to go on from."""
        return self._log.resumed

    def seconds(self) -> float:
        """As the log's."""
        return self._log.seconds()

    def cpu_seconds(self) -> float:
        """As the log's."""
        return self._log.cpu_seconds()

    def record(self, entry: Mapping[str, Any]) -> None:
        """Record an evaluation in both."""
        self._log.record(entry)
        for name, value in _scalars(entry):
            self._writer.add_scalar(name, value, entry["step"])
        self._writer.flush()

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """As the log's."""
        self._log.checkpoint(state)

    def best(self, state: Mapping[str, Any]) -> None:
        """As the log's."""
        self._log.best(state)

    def finish(self, result: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """As the log's."""
        self._log.finish(result, arrays)

    def close(self) -> None:
        """Close both."""
        self._log.close()
        self._writer.close()


def _scalars(entry: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in entry.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and name != "step":
            found.append((prefix + name, float(value)))
    return found
