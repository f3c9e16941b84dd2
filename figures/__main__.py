"""`python -m figures --runs ROOT [--out DIR] [NAME ...]`: draw figures, as PDF and PNG, from finished runs.

Without names it draws what the roots' runs can feed and says in one line what it left out. It fails when a figure
asked for by name lacks a run, or when there is nothing to draw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from figures.catalogue import SHEETS, choose
from figures.kit import render
from figures.kit.roots import expand
from figures.kit.sheet import Sheet
from figures.study.from_records import FROM_RECORDS, drawn
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.display.output import protected
from hyperopt_hn.runs.reader import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, then write all or nothing; the exit code is 0, or 2 after one message on a mistake of the user's."""
    try:
        asked = _parser().parse_args(arguments)
        others = [name for name in asked.names if name not in FROM_RECORDS]
        sheets = choose(others) if others or not asked.names else {}
        gathered = _gather(sheets, asked) if sheets else {}
        files: dict[str, bytes] = {}
        for name, runs in gathered.items():
            files.update(render.encode(name, sheets[name].draw(*runs)))
            csv = sheets[name].csv
            if csv is not None:
                files[f"{name}.csv"] = csv(*runs).encode()
        for name, figure in drawn([*asked.runs, *asked.fallback], asked.names).items():
            files.update(render.encode(name, figure))
        render.write(files, asked.out)
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    for name in files:
        print(asked.out / name)
    left = [name for name in sheets if name not in gathered]
    if left:
        why = "left out, their runs are missing (ask for one by name to see its commands)"
        print(f"{why}: {', '.join(left)}", file=sys.stderr)
    return 0


def _gather(sheets: Mapping[str, Sheet], asked: argparse.Namespace) -> dict[str, list[dict[str, Run]]]:
    """The runs of each figure that can be drawn, from --runs, else from --fallback; UserError for those asked for."""
    roots, others = expand(asked.runs), expand(asked.fallback)
    here = render.feasible(sheets, roots)
    there = render.feasible({name: sheet for name, sheet in sheets.items() if name not in here}, others)
    lacking = {name: sheet for name, sheet in sheets.items() if name not in here and name not in there}
    if asked.names or not (here or there):
        render.gather(lacking if asked.names else render.fitting(lacking, roots), roots)
    found = {**render.gather(here, roots), **render.gather(there, others)}
    return {name: found[name] for name in sheets if name in found}


class _Parser(argparse.ArgumentParser):
    """argparse whose mistakes are one line, as all of ours."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see python -m figures --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m figures",
        description="Draw figures, as PDF and PNG, from finished runs; nothing is trained.",
        epilog="figures: " + ", ".join((*SHEETS, *FROM_RECORDS)),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures to draw (default: all whose runs are there)")
    parser.add_argument(
        "--runs", action="append", required=True, type=Path, metavar="ROOT",
        help="folder of one setting's runs, such as runs/quick-digits-seed7, or a folder that holds such folders; "
        "given again for further seeds, which the figures over runtime draw as mean and spread",
    )  # fmt: skip
    parser.add_argument(
        "--fallback", action="append", default=[], type=Path, metavar="ROOT",
        help="the same, for figures whose runs are not in --runs",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="where to write (default: out)")
    return parser


if __name__ == "__main__":
    raise SystemExit(protected(main))
