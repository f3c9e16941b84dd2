"""`--config`: begin with the configuration of a recorded run, or of a JSON or TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperopt_hn.cli.experiment import Data, Experiment
from hyperopt_hn.cli.values import coerce
from hyperopt_hn.config import described, fields
from hyperopt_hn.errors import UserError, brief, unknown
from hyperopt_hn.runs.reader import Run

COMMON = ("preset", "seed", "data", "arms")
"""Flags that a written configuration may hold beside the experiment's settings."""


@described
@dataclass(frozen=True)
class StartingPoint:
    """Settings and flags to begin with; flags on the command line win over them."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Some of COMMON."""
    path: str = ""
    sha256: str | None = None
    """Of the data of a recorded run."""

    def check_data(self, data: Data) -> None:
        """Raises UserError where data of the recorded name are not those of the recorded run."""
        if self.sha256 is not None and data.sha256 != self.sha256:
            raise UserError(f"{self.path} was made on other data named {data.name}; name the data to take with --data")


def read_start(path: str, experiment: Experiment) -> StartingPoint:
    """What a run's folder (or its config.json) recorded, or a JSON or TOML file of settings says.

    Raises UserError for what cannot be read, another experiment's run, an unknown name and a value of another type.
    """
    place = Path(path)
    if place.is_dir() or place.name == "config.json":
        return _recorded(path, Run(place if place.is_dir() else place.parent).config, experiment)
    return _start(path, experiment, _read(place))


def _recorded(path: str, config: Mapping[str, Any], experiment: Experiment) -> StartingPoint:
    if config.get("experiment") != experiment.name:
        raise UserError(f"--config {path} is a run of {config.get('experiment')}, not of {experiment.name}")
    data = config.get("data")
    data = data if isinstance(data, dict) and data.get("sha256") is not None else {}
    settings = config.get("config")
    flags = {"preset": config.get("preset"), "seed": config.get("seed"), "data": data.get("name")}
    flags["arms"] = config.get("arm")
    known = {name: value for name, value in flags.items() if value is not None}
    return _start(path, experiment, {**(settings if isinstance(settings, dict) else {}), **known}, data.get("sha256"))


def _start(path: str, experiment: Experiment, table: Mapping[str, Any], sha256: str | None = None) -> StartingPoint:
    options = fields(next(iter(experiment.presets.values())))
    kinds: dict[str, Any] = {"preset": str, "seed": int, "data": str, "arms": str}
    settings, flags = {}, {}
    for given, value in table.items():
        name = given.replace("-", "_")
        if name in COMMON:
            value = ",".join(map(str, value)) if isinstance(value, list) else value
            flags[name] = _typed(path, name, value, kinds[name])
        elif name in options:
            option, kind = options[name]
            empty = value == "none" and "" in (option.metadata.get("choices") or ())
            settings[name] = "" if empty else _typed(path, name, value, kind)
        else:
            raise UserError(f"--config {path}: {unknown('setting', given, [*options, *COMMON])}")
    return StartingPoint(settings, flags, path, sha256)


def _typed(path: str, name: str, value: Any, kind: Any) -> Any:
    try:
        return coerce(value, kind)
    except ValueError as error:
        raise UserError(f"--config {path}: {name}: {error}") from None


def _read(place: Path) -> dict[str, Any]:
    if place.suffix not in (".json", ".toml"):
        raise UserError(f"--config {place}: name a run's folder or a file that ends in .json or .toml")
    try:
        text = place.read_text(encoding="utf-8-sig")
    except UnicodeError:
        raise UserError(f"--config {place} is not text in UTF-8") from None
    except OSError as error:
        raise UserError(f"--config {place} cannot be read ({error.strerror})") from None
    try:
        table = json.loads(text) if place.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"--config {place} is damaged: {brief(str(error))}") from None
    if not isinstance(table, dict):
        raise UserError(f"--config {place} holds no table of settings")
    return table
