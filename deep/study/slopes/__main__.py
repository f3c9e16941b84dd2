"""`python -m deep.study.slopes`: the slopes dL_V/dλ that methods claim, against those of retrained networks; resumable.

    python -m deep.study.slopes --preset quick --out runs/slopes.jsonl
    python -m deep.study.slopes --show runs/slopes.jsonl --csv runs/slopes.csv

Each kind of hyperparameter has one small problem, on which every method is asked at a low, a middle and a high value.
Each of these, each seed and each method is a line of the record; what is there already is left out. One core is enough.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from deep.study.slopes.slope_problems import PROBLEMS
from deep.study.slopes.slope_record import SLOPE_PRESETS, lacking, run_lacking, slope_records, whole_rows
from deep.study.slopes.slope_summary import slope_csv, slope_table
from hyperopt_hn.config import unknown
from hyperopt_hn.errors import UserError
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.runs.display.output import protected


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing and print the table; exit code 2 and one line for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m deep.study.slopes", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--preset", choices=tuple(SLOPE_PRESETS), default="quick", help="how much (default: quick)")
    parser.add_argument("--problems", help=f"comma-separated: {', '.join(PROBLEMS)}")
    parser.add_argument("--seeds", help="comma-separated whole numbers, instead of the preset's")
    parser.add_argument("--out", type=Path, help="the record, a line a cell (default: runs/slopes-PRESET.jsonl)")
    parser.add_argument("--show", type=Path, metavar="RECORD", help="print a record as a table and run nothing")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table's numbers too; the figure reads them")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        record = given.show or _measure(given)
        found = whole_rows(slope_records(record))
        if not found:
            raise UserError(f"{record} holds no place at which every method was asked; make one with --out {record}")
        print(slope_table(found))
        if given.csv is not None:
            given.csv.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(given.csv, lambda file: file.write(slope_csv(found).encode()) and None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the record keeps what is finished: the same command goes on", file=sys.stderr)
        return 130
    return 0


def _measure(given: argparse.Namespace) -> Path:
    preset = SLOPE_PRESETS[given.preset]
    names = given.problems.split(",") if given.problems else list(PROBLEMS)
    for name in names:
        if name not in PROBLEMS:
            raise UserError(unknown("problem", name, list(PROBLEMS)))
    if given.seeds is not None:
        for word in given.seeds.split(","):
            if not word.isdigit():
                raise UserError(f"--seeds takes whole numbers, comma-separated, not {word!r}")
        preset = replace(preset, seeds=tuple(int(word) for word in given.seeds.split(",")))
    out: Path = given.out or Path(f"runs/slopes-{given.preset}.jsonl")
    run_lacking(lacking(preset, names, slope_records(out)), preset, out)
    return out


if __name__ == "__main__":
    raise SystemExit(protected(main))
