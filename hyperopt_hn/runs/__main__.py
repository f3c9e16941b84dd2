"""`python -m hyperopt_hn.runs show|csv|plot RUN`: a run's directory as a summary, a table or a picture."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hyperopt_hn import files
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.progress import describe
from hyperopt_hn.runs.writer import Run

FORMATS = (".png", ".pdf", ".svg")
"""Endings of a picture's name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Show a run; exit code 2 and one line for a bad one."""
    parser = argparse.ArgumentParser(prog="python -m hyperopt_hn.runs", description=__doc__)
    parser.add_argument("action", choices=("show", "csv", "plot"), help="a summary, the record as CSV, or a picture")
    parser.add_argument("run", type=Path, help="the run's directory (with config.json)")
    parser.add_argument("--out", type=Path, help="where the picture goes (default: RUN/record.png)")
    arguments = parser.parse_args(argv)
    try:
        run = Run(arguments.run)
        if arguments.action == "plot":
            out = arguments.out or run.path / "record.png"
            plot(run, out)
            print(f"wrote {out}")
        else:
            print(summary(run) if arguments.action == "show" else table(run), end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def summary(run: Run) -> str:
    """What was run, how it ended, its best and last record."""
    config = run.config
    data = config.get("data") or {}
    lines = [
        f"{config.get('experiment')}/{config.get('arm')}  preset {config.get('preset')}  seed {config.get('seed')}",
        f"data      {data.get('name')}  {data.get('note', '')}".rstrip(),
        f"commit    {config.get('commit') or 'unknown'}{' (changed since)' if config.get('dirty') else ''}",
        f"versions  {'  '.join(f'{k} {v}' for k, v in config.get('versions', {}).items())}",
        f"settings  {'  '.join(f'{k}={v}' for k, v in config.get('config', {}).items())}",
        f"records   {len(run.records)}",
    ]
    if run.records:
        last = run.records[-1]
        lines.append(f"last      step {last.get('step')}  {describe(last)}")
    if run.finished:
        result = run.result
        best = result.get("best") or {}
        lines.append(f"best      step {best.get('step')}  {describe(best)}")
        lines.append(f"ended     {result.get('reason')}: {result.get('sentence')} after {result.get('seconds')} s")
        lines.append(f"processor {result.get('cpu_seconds')} s")
    else:
        lines.append("ended     not yet: an unfinished run (--resume goes on)")
    return "\n".join(lines) + "\n"


def table(run: Run) -> str:
    """The record as CSV: step, seconds, losses and every hyperparameter in natural units."""
    columns = run.columns()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["seconds", *(name.removeprefix("hypers/") for name in columns)])
    values = [run.seconds, *(run.column(name) for name in columns)]
    for row in zip(*values, strict=True):
        writer.writerow(["" if np.isnan(x) else int(x) if x == int(x) else repr(float(x)) for x in row])
    return out.getvalue()


def plot(run: Run, out: Path) -> None:
    """Losses above, hyperparameters below, over steps, in the format that the name ends in; written whole.

    Raises UserError for another ending than FORMATS and for a folder that is not there.
    """
    if out.suffix not in FORMATS:
        raise UserError(f"{out}: a picture's name ends in {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent} for the picture; make it, or choose another --out")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for name in run.columns():
        axis = bottom if name.startswith("hypers/") else top if name.endswith("loss") else None
        if axis is not None:
            axis.plot(run.steps, run.column(name), label=name.removeprefix("hypers/"))
    top.set_ylabel("loss")
    bottom.set_ylabel("hyperparameter")
    bottom.set_xlabel("step")
    for axis in (top, bottom):
        if axis.lines:
            axis.legend(fontsize=7)
    files.write_atomic(out, lambda file: figure.savefig(file, format=out.suffix[1:], dpi=150))
