"""Where the runs of one setting go, what is there already, and the command that makes them again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperopt_hn.cli.experiment import Data, Experiment, Program
from hyperopt_hn.config import described, fields
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import Run


@described
@dataclass(frozen=True)
class Site:
    """Where runs go and on what: the data, the folder of all runs of these settings, the common flags."""

    data: Data
    root: Path
    given: argparse.Namespace
    changed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ from the preset's."""

    def finished(self, name: str) -> bool:
        """Whether the run is there. Raises UserError for one on other data of the same name."""
        path = self.root / name
        if not (path / "result.json").exists():
            return False
        data = Run(path).config.get("data")
        recorded = data.get("sha256") if isinstance(data, Mapping) else None
        if recorded is not None and recorded != self.data.sha256:
            raise UserError(f"{path} is a finished run on other data of that name; choose another --out")
        return True

    def command(self, program: Program, experiment: Experiment) -> list[str]:
        """The words that make the runs of these settings again, from config.json alone; the folder is not in them."""
        given = self.given
        own = given.data.endswith(".npz") or Path(given.data).is_dir()
        words = ["python", "-m", program.name, *experiment.words, "--preset", given.preset]
        words += ["--data", given.data if own else self.data.name, "--seed", str(given.seed)]
        known = fields(experiment.presets[given.preset])
        for name, value in self.changed.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            empty = text == "" and known[name][0].metadata.get("choices")
            words += [f"--{name.replace('_', '-')}", "none" if empty else text]
        return words
