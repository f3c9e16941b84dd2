"""`python -m deep explore RUN ...`: courses, gains, and the response along each hyperparameter, as a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from deep.api.best_network import restored
from deep.compare.arms import ARMS, CONSTANT, TUNED
from deep.lstm.averaging import Averaged
from hyperopt_hn.cli.one_line_parser import OneLineParser
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TORCH
from hyperopt_hn.nn.tuning.axes import response_axes
from hyperopt_hn.runs.display.summaries import find, is_run
from hyperopt_hn.runs.pages import course_page
from hyperopt_hn.runs.pages.curves import FILE, Axis, as_arrays
from hyperopt_hn.runs.reader import Run

BEST = f"best.{TORCH.suffix}"
SEARCHES = set(ARMS) - {*TUNED, *CONSTANT}
SEARCH = " There is no curve of the response: a search trains many networks and keeps none of them."
WITHOUT = f" There is no curve of the response: this copy of the run has no {BEST}."


def main(arguments: Sequence[str]) -> int:
    """Write the pages and print where; the exit code is 0, or 2 after one line on a mistake of the user's."""
    parser = OneLineParser(prog="python -m deep explore", description="A run as one HTML page, without a network.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="runs, or folders with runs in them")
    parser.add_argument("--out", type=Path, default=Path("out/explore"), help="where to write (default: out/explore)")
    parser.add_argument("--data", help="the data that the run was trained on, where they are your own: FILE.npz, DIR")
    parser.add_argument("--points", type=int, default=9, help="points of each curve (default: 9)")
    parser.add_argument("--batches", type=int, default=8, help="validation batches of each point (default: 8; 0: all)")
    try:
        asked = parser.parse_args(arguments)
        if asked.points < 2 or asked.batches < 0:
            raise UserError(f"--points {asked.points} --batches {asked.batches}: give 2 or more, and 0 or more")
        runs = [run for path in asked.runs for run in found(path)]
        for run in runs:
            print(page(run, asked.out, asked.data, asked.points, asked.batches or None), flush=True)
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    return 0


def found(path: Path) -> list[Run]:
    """The run itself, or all below a folder that record hyperparameters. Raises UserError where there is none."""
    if is_run(path) or not path.is_dir():
        return [Run(path)]
    every = map(Run, find(path))
    runs = [run for run in every if any(column.startswith(course_page.HYPERS) for column in run.columns())]
    if not runs:
        raise UserError(f"{path} has no run that records hyperparameters; make one: python -m deep lstm")
    return runs


def page(run: Run, out: Path, data: str | None = None, points: int = 9, batches: int | None = 8) -> Path:
    """The page of one run, a SelfTuner's too: OUT/ROOT-EXPERIMENT-ARM.html."""
    names = [run.path.resolve().parents[1].name, str(run.config.get("experiment")), str(run.config.get("arm"))]
    file = out / ("-".join(names) + ".html")
    if not _of_deep(run) or (run.path / FILE).is_file():
        return course_page.build(run, file)
    if run.config.get("arm") in SEARCHES:
        return course_page.build(run, file, note=SEARCH)
    if not (run.path / BEST).is_file():
        return course_page.build(run, file, note=WITHOUT)
    return course_page.build(run, file, _axes(run, data, points, batches))


def _of_deep(run: Run) -> bool:
    from deep.__main__ import PROGRAM  # which has this command in it

    return run.config.get("experiment") in {each.name for each in PROGRAM.experiments}


def _axes(run: Run, data: str | None, points: int, batches: int | None) -> dict[str, Axis]:
    """At the run's best state."""
    tuner = restored(run.path, data).tuner
    if isinstance(tuner, Averaged):
        with tuner.at_mean():
            axes = response_axes(tuner.tuner, points, batches)
    else:
        axes = response_axes(tuner, points, batches)
    return as_arrays(axes)
