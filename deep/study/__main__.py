"""`python -m deep.study`: ways of self-tuning on small tasks, against networks retrained on a grid; resumable.

    python -m deep.study --tasks digits-mlp,text --seeds 1,2,3 --ways split,lowrank --out study.jsonl
    python -m deep.study --show study.jsonl
    python -m deep.study --preset quick --jobs 2

With `--preset` ways to choose hyperparameters are compared at equal processor time instead: self-tuning, constants,
searches, population-based training (deep/study/cost). Each run is a line of the record; what is there already is left
out. One core is enough.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from deep.study.cost.cost_arms import ARMS
from deep.study.cost.cost_presets import PRESETS, TASKS, missing, run_missing
from deep.study.cost.cost_report import at_equal_cost
from deep.study.runs import Way, grid_of, tuned
from deep.study.summary import table
from deep.study.ways import WAYS
from hyperopt_hn.config import unknown
from hyperopt_hn.errors import UserError
from hyperopt_hn.files.whole_lines import keep_whole_lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing of the record; exit code 2 and one line for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m deep.study", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--preset", choices=tuple(PRESETS), help="compare at equal processor time")
    parser.add_argument("--arms", help=f"of --preset, comma-separated: {', '.join(ARMS)}")
    parser.add_argument("--jobs", type=int, default=1, help="of --preset: runs side by side, a core each")
    parser.add_argument("--tasks", help=f"comma-separated: {', '.join(TASKS)}")
    parser.add_argument("--seeds", help="comma-separated whole numbers")
    parser.add_argument("--ways", default="split", help=f"comma-separated: {', '.join(WAYS)}")
    parser.add_argument(
        "--out", type=Path, help="the record, a line a run; runs/study.jsonl, or runs/cost-PRESET.jsonl"
    )
    parser.add_argument("--show", type=Path, metavar="RECORD", help="print a record as a table and run nothing")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    out = given.out or Path("runs/study.jsonl" if given.preset is None else f"runs/cost-{given.preset}.jsonl")
    try:
        if given.show is not None:
            return _show(given.show)
        if given.preset is not None:
            return _compare(given, out)
        tasks, ways = _known("task", given.tasks or ",".join(TASKS), TASKS), _known("way", given.ways, WAYS)
        seeds = [_whole(word) for word in (given.seeds or "1,2,3").split(",")]
        out.parent.mkdir(parents=True, exist_ok=True)
        keep_whole_lines(out)
        for seed in seeds:
            for task in tasks:
                _task(out, task, seed, ways)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; {out} keeps what is finished: the same command goes on", file=sys.stderr)
        return 130
    return 0


def _show(path: Path) -> int:
    found = records(path)
    if not found:
        raise UserError(f"{path} holds no finished run; make one with --out {path}")
    print(at_equal_cost(found) if "arm" in found[0] else table(found))
    return 0


def _compare(given: argparse.Namespace, out: Path) -> int:
    preset = PRESETS[given.preset]
    if given.jobs < 1:
        raise UserError(f"--jobs {given.jobs} runs nothing; give 1 or more")
    if given.tasks:
        preset = replace(preset, tasks=tuple(_known("task", given.tasks, TASKS)))
    if given.seeds:
        preset = replace(preset, seeds=tuple(_whole(word) for word in given.seeds.split(",")))
    if given.arms:
        preset = replace(preset, arms=tuple(_known("arm", given.arms, ARMS)))
    run_missing(missing(preset, records(out)), out, given.jobs)
    return _show(out)


def _task(out: Path, name: str, seed: int, ways: Sequence[str]) -> None:
    task, there = TASKS[name], {(r["task"], r["seed"], r["name"]) for r in records(out)}
    splits = task.data(seed)
    for way in ("grid", *ways):
        if (name, seed, way) in there:
            continue
        started = time.process_time()
        found: dict[str, Any] = {"task": name, "seed": seed, "name": way}
        if way == "grid":
            found |= {"rows": grid_of(task, splits, seed)}
        else:
            found |= tuned(task, splits, seed, WAYS[way])
        found["processor"] = round(time.process_time() - started, 3)
        with out.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(f"{name} seed {seed} {way}: {found['processor']} s", flush=True)


def records(path: Path) -> list[dict[str, Any]]:
    """The finished runs of a record; a half-written last line is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def _known(what: str, words: str, table: dict[str, Any]) -> list[str]:
    for word in words.split(","):
        if word not in table:
            raise UserError(unknown(what, word, list(table)))
    return words.split(",")


def _whole(word: str) -> int:
    if not word.isdigit():
        raise UserError(f"--seeds takes whole numbers, comma-separated, not {word!r}")
    return int(word)


__all__ = ["Way", "main", "records"]

if __name__ == "__main__":
    raise SystemExit(main())
