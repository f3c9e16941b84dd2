"""A record of slopes as a table: for each problem and method how often the sign is right, and the size."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from scipy import stats

from deep.study.slopes.slope_problems import PROBLEMS
from hyperopt_hn.config import described

METHODS = {
    "split": "split", "stn": "STN", "delta": "Δ-STN", "implicit": "implicit", "unrolled-5": "unrolled 5",
    "unrolled-1": "unrolled 1", "trials": "two trials",
}  # fmt: skip
"""In the record -> in words."""
OUT_OF_REACH, NO_PATH = "out of reach", "no path"
"""L_T does not depend on it, so that no response to it can be learned; no gradient leads from it to L_V."""


@described
@dataclass(frozen=True)
class SlopeCell:
    """What a method's claims about one kind of hyperparameter are worth."""

    problem: str
    """In words."""
    method: str
    """In words."""
    clear: int
    """True slopes that differ from zero: beyond the 95 % interval of the retrained pairs."""
    right: int
    """Of these the claims with the right sign."""
    ratio: float | None
    """Median of claimed by true over the clear ones."""
    low: float | None
    """Their lower quartile."""
    high: float | None
    """Their upper quartile."""
    flat: int
    """True slopes that do not differ from zero."""
    error: float | None
    """Mean of |claimed - true| over these, loss by raw unit."""
    words: str
    """Why there is no claim; nothing where there is one."""


def slope_cells(records: Sequence[Mapping[str, Any]]) -> list[SlopeCell]:
    """Every problem of the record by every method, in the order of the tables."""
    found = []
    for name in (name for name in PROBLEMS if any(r["problem"] == name for r in records)):
        rows = [r for r in records if r["problem"] == name]
        for method in METHODS:
            found.append(_cell(PROBLEMS[name].words, METHODS[method], rows, method))
    return found


def known(quotients: Sequence[float]) -> tuple[float, float]:
    """Their mean and half its 95 % interval by Student's t."""
    half = float(stats.t.ppf(0.975, len(quotients) - 1)) * statistics.stdev(quotients) / math.sqrt(len(quotients))
    return statistics.fmean(quotients), half


def _cell(problem: str, words: str, rows: Sequence[Mapping[str, Any]], method: str) -> SlopeCell:
    truths = [known(pairs) for row in rows for pairs in row["true"]]
    clear, flat = sum(abs(mean) > half for mean, half in truths), sum(abs(mean) <= half for mean, half in truths)
    if any(row["claims"].get(method) is None for row in rows):
        why = NO_PATH if any(method in row["claims"] for row in rows) else OUT_OF_REACH
        return SlopeCell(problem, words, clear, 0, None, None, None, flat, None, why)
    claims = [claim for row in rows for claim in row["claims"][method]]
    pairs = [(claim, mean, half) for claim, (mean, half) in zip(claims, truths, strict=True)]
    ratios = [claim / mean for claim, mean, half in pairs if abs(mean) > half]
    errors = [abs(claim - mean) for claim, mean, half in pairs if abs(mean) <= half]
    low, middle, high = quartiles(ratios) if ratios else (None, None, None)
    right = sum(ratio > 0 for ratio in ratios)
    return SlopeCell(
        problem, words, clear, right, middle, low, high, flat, statistics.fmean(errors) if errors else None, ""
    )


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The three, between neighbours in proportion; of one value itself thrice."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def slope_table(records: Sequence[Mapping[str, Any]]) -> str:
    """The table as text, below it the cost of a claim and the slopes place by place."""
    cells = slope_cells(records)
    lines = [
        _measured(records),
        "right sign of the clear slopes, median of claimed by true; (error where the true slope is not clear)",
        f"{'':24}{'clear':>6}{'flat':>5}" + _heads(20),
    ]
    for problem in dict.fromkeys(cell.problem for cell in cells):
        here = [cell for cell in cells if cell.problem == problem]
        lines.append(f"{problem:24}{here[0].clear:6}{here[0].flat:5}" + "".join(f"{_told(cell):>20}" for cell in here))
    lines.append(f"{'all':35}" + "".join(f"{_overall(cells, words):>20}" for words in METHODS.values()))
    costs = [f"{method} {_cost(records, method):.1f}" for method in METHODS if _cost(records, method)]
    lines.append(f"\nprocessor seconds of a claim, median: {', '.join(costs)}")
    return "\n".join([*lines, *_by_place(records)])


def _by_place(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Means over seeds, place by place; directions that are drawn anew for each seed have none."""
    lines = ["\nslopes by a raw unit, means over seeds", f"{'':24}{'at':>8}{'true':>16}" + _heads(10)]
    for name in (name for name in PROBLEMS if not PROBLEMS[name].drawn):
        for place in sorted({r["place"] for r in records if r["problem"] == name}):
            rows = [r for r in records if r["problem"] == name and r["place"] == place]
            for index in range(len(rows[0]["true"])):
                true = _mean_and_error([statistics.fmean(r["true"][index]) for r in rows])
                part = "" if len(rows[0]["true"]) == 1 else f" {index + 1}"
                told = [_mean_claim(rows, method, index) for method in METHODS]
                lines.append(
                    f"{PROBLEMS[name].words + part:24}{rows[0]['value']:8g}{true:>16}"
                    + "".join(f"{word:>{width}}" for word, width in zip(told, _widths(10), strict=True))
                )
    return lines


def _widths(least: int) -> list[int]:
    return [max(least, len(words) + 2) for words in METHODS.values()]


def _heads(least: int) -> str:
    return "".join(f"{words:>{width}}" for words, width in zip(METHODS.values(), _widths(least), strict=True))


def _mean_claim(rows: Sequence[Mapping[str, Any]], method: str, index: int) -> str:
    claims = [row["claims"].get(method) for row in rows]
    return "-" if None in claims else f"{statistics.fmean(claim[index] for claim in claims):+.3f}"


def _mean_and_error(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):+.3f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):.3f}"


def _measured(records: Sequence[Mapping[str, Any]]) -> str:
    seeds, first = sorted({r["seed"] for r in records}), records[0]
    return (
        f"seeds {', '.join(map(str, seeds))}; {len({r['place'] for r in records})} places a problem, {first['steps']} "
        f"training steps, true slopes of {len(first['true'][0])} retrained pairs"
    )


def _told(cell: SlopeCell) -> str:
    if cell.words:
        return cell.words
    size = "" if cell.ratio is None else f"{cell.right}/{cell.clear} {cell.ratio:.2f}"
    return size + ("" if cell.error is None else f" ({cell.error:.2f})")


def _overall(cells: Sequence[SlopeCell], words: str) -> str:
    here = [cell for cell in cells if cell.method == words and not cell.words]
    return f"{sum(cell.right for cell in here)}/{sum(cell.clear for cell in here)}"


def _cost(records: Sequence[Mapping[str, Any]], method: str) -> float:
    found = [r["seconds"][method] for r in records if method in r["seconds"]]
    return statistics.median(found) if found else 0.0


def slope_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """The cells as CSV below a line that says what was measured; an empty field where there is no number."""
    out = io.StringIO()
    out.write(f"# {_measured(records)}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(SlopeCell)])
    for cell in slope_cells(records):
        writer.writerow([f"{value:.4g}" if isinstance(value, float) else value for value in astuple(cell)])
    return out.getvalue()
