"""A record of the comparison at equal cost as text: losses at each budget, time to target, ranks, over-tuning."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from hyperopt_hn.errors import UserError
from hyperopt_hn.nn.diagnosis.trust import LEAST_T

BAD = 0.05
"""A loss so far above the lowest that any arm found on that task and seed is bad."""
Row = Mapping[str, Any]


def at_equal_cost(records: Sequence[Row]) -> str:
    """Everything that a record of `--preset` says, over the tasks and seeds on which all of its arms are finished."""
    rows, blocks, arms = complete(records)
    budgets = sorted({mark[0] for row in rows.values() for mark in row["marks"]})
    seeds = sorted({seed for _, seed in blocks})
    units = statistics.mean(row["unit"] for row in rows.values())
    lines = [
        f"{len({task for task, _ in blocks})} tasks, seeds {', '.join(map(str, seeds))}, {len(arms)} arms; "
        f"a budget of 1 is one plain training, {units:.2f} processor seconds on average",
        *_losses(rows, blocks, arms, budgets, 1, "validation"),
        *_losses(rows, blocks, arms, budgets, 2, "test"),
        *_by_task(rows, blocks, budgets[-1]),
        *_target(rows, blocks, arms),
        *_ranks(rows, blocks, arms),
        *_over_tuning(rows, blocks, arms),
        *_warned(rows, blocks, arms),
    ]
    return "\n".join(lines)


def complete(records: Sequence[Row]) -> tuple[dict[tuple[str, int, str], Row], list[tuple[str, int]], list[str]]:
    """(task, seed, arm) -> row, the tasks and seeds on which every arm of the record is finished, and the arms.

    A seed counts where it is finished on every task, by each arm that the record has of that task; arms are those
    that it has of every task. Raises UserError where there is no such seed.
    """
    rows = {(r["task"], r["seed"], r["arm"]): r for r in records}
    pairs = list(dict.fromkeys((r["task"], r["arm"]) for r in records))
    tasks = list(dict.fromkeys(task for task, _ in pairs))
    arms = [arm for arm in dict.fromkeys(arm for _, arm in pairs) if all((task, arm) in pairs for task in tasks)]
    whole = [s for s in sorted({r["seed"] for r in records}) if all((t, s, a) in rows for t, a in pairs)]
    if not whole:
        raise UserError("no seed of this record is finished on every task and arm; run the same command again")
    return rows, [(task, seed) for seed in whole for task in tasks], arms


def excess(
    rows: Mapping[tuple[str, int, str], Row], blocks: Sequence[tuple[str, int]], arm: str, budget: float, place: int
) -> list[float] | None:
    """For each seed the mean over tasks of a loss (1 validation, 2 test) above the lowest of any arm there.

    None where the arm has no network yet at that budget on some task and seed.
    """
    by_seed: dict[int, list[float]] = {}
    for task, seed in blocks:
        mark = next((m for m in rows[task, seed, arm]["marks"] if m[0] == budget), None)
        if mark is None:
            return None
        by_seed.setdefault(seed, []).append(mark[place] - _lowest(rows, task, seed, place))
    return [statistics.mean(values) for values in by_seed.values()]


def _lowest(rows: Mapping[tuple[str, int, str], Row], task: str, seed: int, place: int) -> float:
    return min(float(r["marks"][-1][place]) for (t, s, _), r in rows.items() if (t, s) == (task, seed) and r["marks"])


def spread_words(values: Sequence[float]) -> str:
    """Mean ± half the 95 % interval of Student's t; the mean alone of one value."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.3f} ± {half:.3f}"


def _losses(rows: Any, blocks: Any, arms: Sequence[str], budgets: Sequence[float], place: int, name: str) -> list[str]:
    head = (
        f"\n{name} loss above the lowest that any arm ended with, mean over tasks and seeds ± 95 % interval over seeds"
    )
    lines = [head, f"{'arm':14}" + "".join(f"{budget:>18g}" for budget in budgets)]
    for arm in arms:
        found = [excess(rows, blocks, arm, budget, place) for budget in budgets]
        lines.append(f"{arm:14}" + "".join(f"{'-' if v is None else spread_words(v):>18}" for v in found))
    return lines


def _by_task(rows: Any, blocks: Any, budget: float) -> list[str]:
    tasks = list(dict.fromkeys(task for task, _ in blocks))
    if len(tasks) < 2:
        return []
    width = max(18, 2 + max(map(len, tasks)))
    lines = [f"\nthe same at {budget:g}, task by task", f"{'arm':14}" + "".join(f"{task:>{width}}" for task in tasks)]
    for arm in dict.fromkeys(arm for _, _, arm in rows):
        words = []
        for task in tasks:
            own = [block for block in blocks if block[0] == task and (*block, arm) in rows]
            found = excess(rows, own, arm, budget, 2) if own else None
            words.append("-" if found is None else spread_words(found))
        lines.append(f"{arm:14}" + "".join(f"{word:>{width}}" for word in words))
    return lines


def reached(row: Row, target: float) -> float | None:
    """Plain trainings until an arm's best validation loss is at or below the target; None: not within its budget."""
    return next((at for at, loss in row["curve"] if loss <= target), None)


def target_of(row: Row) -> tuple[float, float] | None:
    """The validation loss of an arm's first self-tuning run and the training behind it, and what both cost; or None."""
    if not row["runs"] or "after" not in row["runs"][0]:
        return None
    first = row["runs"][0]
    loss = min(first["trained"], first["after"])
    return loss, float(reached(row, loss) or math.nan)


def _target(rows: Any, blocks: Any, arms: Sequence[str]) -> list[str]:
    if "split" not in arms:
        return []
    pairs = [(b, target_of(rows[(*b, "split")])) for b in blocks]
    targets = {block: found for block, found in pairs if found is not None}
    if not targets:
        return ["\nno run of split was finished within the budget: no time to its target"]
    most = max(mark[0] for row in rows.values() for mark in row["marks"])
    cost = statistics.median(at for _, at in targets.values())
    lines = [
        "\nplain trainings until the validation loss of split's first run (and retraining) is reached; "
        f"split itself: median {cost:.1f}; censored at {most:g}"
    ]
    for arm in arms:
        times = [reached(rows[(*block, arm)], loss) for block, (loss, _) in targets.items()]
        there = sum(t is not None for t in times)
        median = statistics.median(math.inf if t is None else t for t in times)
        words = f"more than {most:g}" if math.isinf(median) else f"{median:.1f}"
        lines.append(f"{arm:14} median {words:>12}, reached in {there} of {len(times)}")
    return lines


def _ranks(rows: Any, blocks: Any, arms: Sequence[str]) -> list[str]:
    whole = [arm for arm in arms if all(rows[(*block, arm)]["marks"] for block in blocks)]
    tasks = list(dict.fromkeys(task for task, _ in blocks))
    if len(whole) < 3:
        return []
    tests = np.array([[rows[(*block, arm)]["marks"][-1][2] for arm in whole] for block in blocks])
    means = np.array([tests[[i for i, b in enumerate(blocks) if b[0] == task]].mean(0) for task in tasks])
    ranks = stats.rankdata(means, axis=1).mean(0)
    lines = ["\nranks by test loss at the largest budget, mean over tasks of the seeds' mean (1 is best)"]
    lines += [f"{whole[i]:14} {ranks[i]:5.2f}" for i in np.argsort(ranks)]
    if len(tasks) > 1:
        k = len(whole)
        p = float(stats.friedmanchisquare(*means.T).pvalue)
        quantile = float(stats.studentized_range.ppf(0.95, k, 1e6)) / math.sqrt(2)
        difference = quantile * math.sqrt(k * (k + 1) / (6 * len(tasks)))
        lines.append(f"Friedman p = {p:.3f}; Nemenyi critical difference {difference:.2f} (5 %, {len(tasks)} tasks)")
    if "split" in whole and len(blocks) > 5:
        split = tests[:, whole.index("split")]
        others = [arm for arm in whole if arm != "split"]
        raw = [float(stats.wilcoxon(split, tests[:, whole.index(arm)]).pvalue) for arm in others]
        found = [f"{arm} {p:.2f}" for arm, p in zip(others, holm(raw), strict=True)]
        lines.append(f"Wilcoxon-Holm p against split, {len(blocks)} tasks and seeds: {', '.join(found)}")
    return lines


def holm(raw: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the same order."""
    found, most = [0.0] * len(raw), 0.0
    for place, i in enumerate(sorted(range(len(raw)), key=lambda i: raw[i])):
        most = max(most, min(1.0, (len(raw) - place) * raw[i]))
        found[i] = most
    return found


def _over_tuning(rows: Any, blocks: Any, arms: Sequence[str]) -> list[str]:
    found = []
    for arm in arms:
        last = [rows[(*block, arm)]["marks"][-1] for block in blocks if rows[(*block, arm)]["marks"]]
        if last:
            found.append(f"{arm} {statistics.mean(mark[2] - mark[1] for mark in last):+.3f}")
    return ["\nover-tuning, test minus validation loss of the chosen network: " + ", ".join(found)]


def _warned(rows: Any, blocks: Any, arms: Sequence[str]) -> list[str]:
    lines = []
    for arm in arms:
        runs = [(b, run) for b in blocks for run in rows[(*b, arm)]["runs"] if "after" in run and run["gain"]]
        bad = [max(r["gain"].values()) < LEAST_T for b, r in runs if r["after"] - _lowest(rows, b[0], b[1], 1) >= BAD]
        good = [max(r["gain"].values()) < LEAST_T for b, r in runs if r["after"] - _lowest(rows, b[0], b[1], 1) < BAD]
        cost = [run["units"] for b in blocks for run in rows[(*b, arm)]["runs"]]
        if runs:
            lines.append(
                f"{arm:14} {len(cost)} runs of {statistics.mean(cost):.1f} plain trainings; the gain warned of "
                f"{sum(bad)} of {len(bad)} bad ones, falsely of {sum(good)} of {len(good)}"
            )
    return (
        [f"\nself-tuning runs (bad: trained again {BAD:g} or more above the lowest of any arm)", *lines]
        if lines
        else []
    )
