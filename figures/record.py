"""`python -m figures.record --runs ROOT [--out figures/recorded]`: copy of finished runs what the figures read.

Records, clock, configuration and result go whole; of arrays.npz only the arrays that some figure names. Checkpoints
stay behind. The copies are roots of their own: `make figures RUNS=figures/recorded` draws from them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from figures.catalogue import SHEETS
from figures.kit.roots import expand, run_folder
from figures.kit.runs import is_finished
from hyperopt_hn.errors import UserError
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.files.states import save_arrays
from hyperopt_hn.runs.display.output import protected
from hyperopt_hn.runs.reader import Run

WHOLE = ("config.json", "log.jsonl", "clock.jsonl", "result.json")
ALWAYS = ("layers",)
"""Arrays that a figure reads where they exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy; the exit code is 0, or 2 after one line on a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m figures.record", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, action="append", required=True, help="a root, or a folder of roots")
    parser.add_argument("--out", type=Path, default=Path("figures/recorded"), help="(default: figures/recorded)")
    asked = parser.parse_args(arguments)
    try:
        for root in expand(asked.runs):
            for name, wanted in needed().items():
                if is_finished(root, name):
                    source = run_folder(root, name)
                    print(copy_run(source, asked.out / source.parents[1].name / name, wanted))
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    return 0


def needed() -> dict[str, set[str]]:
    """Every run that a figure reads, and the arrays it reads of it."""
    out: dict[str, set[str]] = {}
    for sheet in SHEETS.values():
        for name, needs in sheet.reads.items():
            out.setdefault(name, set(ALWAYS)).update(needs.arrays)
    return out


def copy_run(source: Path, target: Path, wanted: set[str]) -> Path:
    """Copy one finished run with the wanted arrays; returns where to."""
    arrays = {name: array for name, array in Run(source).arrays.items() if name in wanted}
    target.mkdir(parents=True, exist_ok=True)
    for name in WHOLE:
        shutil.copyfile(source / name, target / name)
    write_atomic(target / "arrays.npz", lambda file: save_arrays(file, arrays))
    return target


if __name__ == "__main__":
    raise SystemExit(protected(main))
