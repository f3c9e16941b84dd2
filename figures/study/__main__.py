"""`python -m figures.study --slopes FILE.csv [--out DIR]`: figures of the studies, as PDF and PNG; nothing is run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from figures.kit import render
from figures.study import which_method_tunes_what
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.display.output import protected


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, then write all or nothing; 2 after one line on a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m figures.study", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--slopes", type=Path, required=True, metavar="FILE",
        help="the table that python -m deep.study.slopes --csv FILE writes",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where to write (default: out)")
    given = parser.parse_args(arguments)
    try:
        figure = which_method_tunes_what.draw(*which_method_tunes_what.read_cells(given.slopes))
        files = render.encode("which_method_tunes_what", figure)
        render.write(files, given.out)
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    for name in files:
        print(given.out / name)
    return 0


if __name__ == "__main__":
    raise SystemExit(protected(main))
