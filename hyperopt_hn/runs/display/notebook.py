"""A file that was drawn, so that a notebook shows it where a script only writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyperopt_hn.config import described


@described
@dataclass(frozen=True)
class Picture:
    """A picture on disk; as the last value of a notebook's cell it is seen."""

    path: Path
    """Where it was written."""

    def _repr_png_(self) -> bytes | None:
        return self.path.read_bytes() if self.path.suffix == ".png" else None

    def _repr_svg_(self) -> str | None:
        return self.path.read_text(encoding="utf-8") if self.path.suffix == ".svg" else None
