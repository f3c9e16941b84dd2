"""`python -m tests.bench.benchopt_solver.summary FILE.parquet ...`: benchopt's results as a small CSV.

One line for each run (problem, solver, settings) and time: its last evaluation up to so many seconds.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from typing import Any

SECONDS = (0.3, 1.0, 3.0, 10.0)


def at_seconds(evaluations: Iterable[Mapping[str, Any]], seconds: tuple[float, ...]) -> list[dict[str, Any]]:
    """The last of each run's evaluations up to each time, none where the first is later; metrics to four digits."""
    runs: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for one in evaluations:
        runs.setdefault((one["dataset_name"], one["solver_name"], one["idx_rep"]), []).append(one)
    lines = []
    for (problem, solver, _), curve in sorted(runs.items()):
        for limit in seconds:
            if not (reached := [one for one in curve if one["time"] <= limit]):
                continue
            last = max(reached, key=lambda one: one["time"])
            metrics = {name.removeprefix("objective_"): f"{value:.4g}" for name, value in sorted(last.items())
                       if name.startswith("objective_") and isinstance(value, float) and value == value}  # fmt: skip
            lines.append({"problem": problem, "solver": solver, "up to s": f"{limit:g}", "s": f"{last['time']:.2f}",
                          "metrics": " ".join(f"{name}={value}" for name, value in metrics.items())})  # fmt: skip
    return lines


def main(files: list[str]) -> None:
    """Print the CSV of these result files."""
    import pandas

    found = [row for name in files for row in pandas.read_parquet(name).to_dict("records")]
    out = csv.DictWriter(sys.stdout, ["problem", "solver", "up to s", "s", "metrics"], lineterminator="\n")
    out.writeheader()
    out.writerows(at_seconds(found, SECONDS))


if __name__ == "__main__":
    main(sys.argv[1:])
