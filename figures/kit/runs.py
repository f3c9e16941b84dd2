"""A run's arrays and columns, checked; what is corrupt is refused with the command that makes it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.kit.roots import Maker, again, run_folder
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import Run

Array = NDArray[np.float64]
Runs = Mapping[str, Run]


@dataclass(frozen=True)
class Needs:
    """What a figure reads of one run."""

    arrays: Mapping[str, str] = field(default_factory=dict)
    """Array in arrays.npz -> its shape in words: "" a scalar, "L" a vector, "W L" a matrix; a letter is one length."""
    columns: tuple[str, ...] = ()
    """Columns of log.jsonl; the clock's seconds are read with them."""


def exists(root: Path, name: str) -> bool:
    """Whether anything of run `name` is there for `root`."""
    return (run_folder(root, name) / "config.json").is_file()


def is_finished(root: Path, name: str) -> bool:
    """Whether run `name` for `root` came to its end (result.json is what a run writes last)."""
    return exists(root, name) and (run_folder(root, name) / "result.json").is_file()


def load(root: Path, name: str, needs: Needs, maker: Maker) -> Run:
    """Run `name` under `root`, with all that `needs` asks for read and checked.

    Raises UserError naming the file and the command that makes it again when something is corrupt or lacking.
    """
    folder = run_folder(root, name)
    remedy = f"make it again: {again(root, name, maker)}"
    try:
        run = Run(folder)
        if not isinstance(run.config, Mapping):
            raise UserError("it is no JSON object")
    except UserError as error:
        raise UserError(f"{folder / 'config.json'} cannot be used: {_one_line(error)}; {remedy}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder} cannot be read: {_one_line(error)}; {remedy}") from error
    for file, read, wanted in (("arrays.npz", arrays, needs.arrays), ("log.jsonl", columns, needs.columns)):
        if not wanted:
            continue
        try:
            read(run, needs)
        except Exception as error:  # a corrupt archive or log fails in many ways, and each means the same here
            raise UserError(f"{folder / file} cannot be used: {_one_line(error)}; {remedy}") from error
    return run


def arrays(run: Run, needs: Needs) -> dict[str, Array]:
    """The arrays that `needs` names, as float64, finite and of the shapes it states. Raises UserError."""
    there = run.arrays
    lengths: dict[str, int] = {}
    found: dict[str, Array] = {}
    for name, letters in needs.arrays.items():
        if name not in there:
            raise UserError(f"it has no array {name!r}")
        value = np.asarray(there[name])
        if value.dtype.kind not in "fiu":
            raise UserError(f"array {name!r} holds no numbers")
        if value.ndim != len(letters.split()):
            raise UserError(f"array {name!r} has shape {value.shape}, not ({', '.join(letters.split())})")
        for letter, length in zip(letters.split(), value.shape, strict=True):
            wanted = int(letter) if letter.isdigit() else lengths.setdefault(letter, length)
            if length != wanted or length == 0:
                raise UserError(f"array {name!r} has {length} entries where {max(wanted, 1)} belong")
        found[name] = _finite(name, value.astype(np.float64))
    return found


def columns(run: Run, needs: Needs) -> dict[str, Array]:
    """The log's columns that `needs` names and "seconds", one value per record, finite. Raises UserError."""
    found = {name: _numbers(name, run.column(name)) for name in needs.columns}
    found["seconds"] = _numbers("seconds", run.seconds)
    lengths = {name: len(values) for name, values in found.items()}
    if 0 in lengths.values() or len(set(lengths.values())) > 1:
        raise UserError(f"its columns and clock do not hold one value per record: {lengths}")
    return found


def column(run: Run, name: str) -> Array:
    """One column of the log, finite, one value per record. Raises UserError naming the run."""
    try:
        return columns(run, Needs(columns=(name,)))[name]
    except UserError as error:
        raise UserError(f"{run.path / 'log.jsonl'} cannot be used: {_one_line(error)}; make the run again") from error


def check_seeds(names: Iterable[str], roots: Sequence[Runs]) -> None:
    """Raises UserError when two roots hold a run of these names at the same seed, whose spread would be none."""
    for name in names:
        found = [runs[name] for runs in roots if name in runs]
        seeds = [str(run.config.get("seed")) for run in found]
        for one, seed in enumerate(seeds):
            if seed in seeds[:one]:
                both = f"{found[seeds.index(seed)].path} and {found[one].path}"
                raise UserError(f"{both} are of the same seed {seed}; name each seed once with --runs")


def _numbers(name: str, values: Any) -> Array:
    column = np.asarray(values)
    if column.dtype.kind not in "fiu" or column.ndim != 1:
        raise UserError(f"column {name!r} does not hold one number per record")
    return _finite(name, column.astype(np.float64))


def _finite(name: str, value: Array) -> Array:
    if not np.all(np.isfinite(value)):
        raise UserError(f"{name!r} holds values that are not finite")
    return value


def _one_line(error: Exception) -> str:
    """Its message without the reader's own remedy, for which there is a better one here."""
    words = str(error).split("; make it again")[0].split("; start the run again")[0]
    return " ".join(words.split()) or type(error).__name__
