"""`python -m hyperopt_hn.runs show|csv|plot|table RUN ...`: runs as a summary, a table or a picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.display import summaries, tables
from hyperopt_hn.runs.display.output import one_line, printable, protected
from hyperopt_hn.runs.reader import Run

ABOUT = {
    "show": "what was run, how it ended, its best and last record; a folder of runs: a line for each",
    "csv": "the record of one run as CSV: a row per evaluation",
    "plot": "losses and hyperparameters over steps, of one run or of several in one picture",
    "table": "the best record of each run in one table",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Show runs; exit code 2 and one line for a mistake of the user's."""
    arguments = _parser().parse_args(argv)
    try:
        _do(arguments)
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {one_line(error.typed)}", file=sys.stderr)
        return 2
    return 0


def _do(arguments: argparse.Namespace) -> None:
    if arguments.action == "show":
        print(printable("\n".join(summaries.show(path) for path in arguments.runs)), end="")
    elif arguments.action == "csv":
        print(tables.record(Run(arguments.run)), end="")
    elif arguments.action == "table":
        print(printable(tables.best_records(summaries.expand(arguments.runs), arguments.format)), end="")
    else:
        from hyperopt_hn.runs.display.plotting import plot  # matplotlib

        runs = summaries.expand(arguments.runs)
        out = arguments.out or (runs[0].path / "record.png" if len(runs) == 1 else Path("runs.png"))
        plot(runs, out)
        print(f"wrote {out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hyperopt_hn.runs", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|csv|plot|table")
    parsers = {name: actions.add_parser(name, help=about, description=about) for name, about in ABOUT.items()}
    for name, sub in parsers.items():
        if name == "csv":
            sub.add_argument("run", type=Path, help="the run's directory (with config.json)")
        else:
            sub.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a run's directory, or a folder of runs")
    parsers["plot"].add_argument(
        "--out", type=Path, help="where the picture goes (default: RUN/record.png; several runs: runs.png)"
    )
    kinds = parsers["table"].add_mutually_exclusive_group()
    for kind in tables.FORMATS:
        kinds.add_argument(
            f"--{kind}", dest="format", action="store_const", const=kind, default=tables.FORMATS[0],
            help=f"as {kind}" + (" (default)" if kind == tables.FORMATS[0] else ""),
        )  # fmt: skip
    return parser


if __name__ == "__main__":
    raise SystemExit(protected(main))
