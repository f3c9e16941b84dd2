"""Published numbers that were recalled, not re-read: for comparison beside measured ones, never results of a run.

MacKay et al. 2019, tables 1 and 2. Nobody on this project has the tables before them, so every place that shows these
numbers says "recalled, not re-read"; and "not like for like" with the reasons where the runs were made otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures.kit import small_print
from hyperopt_hn.runs.reader import Run

EVIDENCE = "recalled, not re-read"
SOURCE = "MacKay et al. 2019"


@dataclass(frozen=True)
class Pair:
    """Validation and test, in the unit of the table."""

    valid: float
    test: float


@dataclass(frozen=True)
class Table:
    """A published table: its place, its rows by the arm that corresponds here, and how it was made."""

    place: str
    rows: Mapping[str, Pair]
    data: str
    settings: Mapping[str, Any]
    """Settings of a run's configuration that must have these values for a comparison like for like; 0 means all."""


OUTPUT_DROPOUT = Table(
    "table 1",
    {
        "fixed": Pair(85.83, 83.19),
        "gaussian": Pair(85.87, 82.29),
        "sinusoid": Pair(85.29, 82.15),
        "final": Pair(89.65, 86.90),
        "stn": Pair(82.58, 79.02),
        "replay": Pair(82.87, 79.93),
    },
    data="ptb",
    settings={"hidden": 650, "layers": 2, "train_tokens": 0},
)
"""Penn Treebank perplexities, the output dropout alone."""

CIFAR = Table(
    "table 2",
    {
        "grid": Pair(0.794, 0.809),
        "random": Pair(0.921, 0.752),
        "gp": Pair(0.636, 0.651),  # Spearmint's Gaussian process
        "stn": Pair(0.575, 0.576),
    },
    data="cifar10",
    settings={"model": "alexnet", "n_train": 40000, "n_valid": 10000},
)
"""CIFAR-10 losses, all hyperparameters."""

LANGUAGE = Table(
    "table 2",
    {
        "grid": Pair(97.32, 94.58),
        "random": Pair(84.81, 81.46),
        "gp": Pair(72.13, 69.29),  # Spearmint's Gaussian process
        "stn": Pair(70.30, 67.68),
    },
    data="ptb",
    settings={"hidden": 650, "layers": 2, "train_tokens": 0},
)
"""Penn Treebank perplexities, all seven hyperparameters."""


def differences(table: Table, runs: Sequence[Run]) -> list[str]:
    """Why these runs are not like the published ones, a phrase each; none where nothing speaks against it."""
    run, found = runs[0], []
    name = small_print.data_name(run)
    if name != table.data:
        found.append(f"data {small_print.PROPER.get(name, name)}, not {small_print.PROPER[table.data]}")
    config = run.config.get("config")
    config = config if isinstance(config, Mapping) else {}
    found += [f"{key} {config[key]}, not {value or 'all'}" for key, value in table.settings.items()
              if key in config and config[key] != value]  # fmt: skip
    if small_print.preset(run) != "paper":
        found.append(f"preset {small_print.preset(run)}, not paper")
    return found


def label(table: Table, runs: Sequence[Run]) -> str:
    """The sentence that must be wherever numbers of this table are shown beside these runs."""
    found = differences(table, runs)
    unlike = f"; not like for like ({'; '.join(found)})" if found else ""
    return f"{SOURCE}, {table.place}: {EVIDENCE} in the paper{unlike}"
