"""What sinks outside a run's directory need: a count of the records that they have had, and their package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from hyperopt_hn.errors import UserError
from hyperopt_hn.files import atomic


class Count:
    """How many records a sink has had: a file beside them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "records"
        text = self._path.read_text() if self._path.exists() else ""
        self.value = int(text) if text.strip().isdecimal() else 0

    def up(self) -> None:
        """One more."""
        self._write(self.value + 1)

    def at_most(self, most: int) -> int:
        """What it counts, after all beyond `most` was taken back."""
        if self.value > most:
            self._write(most)
        return self.value

    def _write(self, value: int) -> None:
        self.value = value
        atomic.write_atomic(self._path, lambda file: file.write(str(value).encode()))


def need(module: str, who: str) -> None:
    """UserError, with the command that installs it, where a module is not there."""
    if module not in sys.modules and importlib.util.find_spec(module) is None:
        raise UserError(f"{who} needs the package {module}: pip install {module}")
