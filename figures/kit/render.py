"""From sheets and roots to files: gather the runs, draw everything in memory, and only then write."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from figures.kit import style
from figures.kit.roots import Maker, command, fits, setting
from figures.kit.runs import exists, is_finished, load
from figures.kit.sheet import Sheet
from hyperopt_hn.errors import UserError
from hyperopt_hn.files.atomic import write_atomic
from hyperopt_hn.runs.reader import Run

FORMATS = ("pdf", "png")


def gather(sheets: Mapping[str, Sheet], roots: Sequence[Path]) -> dict[str, list[dict[str, Run]]]:
    """For each sheet the runs of each root that it draws, the first root first.

    A further root joins a pooled figure when it holds any of its runs, and must then hold all of them. Raises ONE
    UserError listing the command of every missing run, one for a corrupt run, and one where the roots hold a
    figure's runs in several settings.
    """
    wanted = {name: _wanted(name, sheet, roots) for name, sheet in sheets.items()}
    _refuse_missing([(*pair, sheets[name].maker) for name, pairs in wanted.items() for pair in _missing(pairs)])
    return {
        name: [
            {run: load(root, run, sheet.reads[run], sheet.maker) for run in runs} for root, runs in wanted[name].items()
        ]
        for name, sheet in sheets.items()
    }


def feasible(sheets: Mapping[str, Sheet], roots: Sequence[Path]) -> dict[str, Sheet]:
    """Those of the sheets whose runs are all there.

    Raises UserError where the roots hold a figure's runs in several settings.
    """
    return {name: sheet for name, sheet in sheets.items() if roots and not _missing(_wanted(name, sheet, roots))}


def fitting(sheets: Mapping[str, Sheet], roots: Sequence[Path]) -> dict[str, Sheet]:
    """Those of the sheets that data such as the roots' could feed."""
    return {n: sheet for n, sheet in sheets.items() if any(fits(root, sheet.maker) for root in roots)}


def encode(name: str, fig: Figure) -> dict[str, bytes]:
    """A figure as files, file name -> bytes; equal figures give equal bytes (no date, no program version)."""
    FigureCanvasAgg(fig)
    subject = str(fig.get_label())
    files = {}
    metadata = {
        "pdf": {"Title": name, "Subject": subject, "Creator": None, "Producer": None, "CreationDate": None},
        "png": {"Title": name, "Description": subject, "Software": None},
    }
    with style.styled():
        for kind in FORMATS:
            buffer = io.BytesIO()
            fig.savefig(buffer, format=kind, dpi=style.DPI, metadata=metadata[kind])
            files[f"{name}.{kind}"] = buffer.getvalue()
    return files


def write(files: Mapping[str, bytes], out: Path) -> None:
    """Each file whole or not at all. Raises UserError when `out` cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(out / name, partial(_put, content))
    except OSError as error:
        raise UserError(f"cannot write figures to {out}: {error.strerror}; choose a folder with --out") from error


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


Wanted = dict[Path, list[str]]
"""Root -> the runs it must give to a sheet."""


def _wanted(name: str, sheet: Sheet, roots: Sequence[Path]) -> Wanted:
    needed = [run for run in sheet.reads if run not in sheet.optional]
    if sheet.which == "first":
        found = [run for run in needed if any(is_finished(root, run) for root in roots)]
        needed = (found or needed)[:1]
    there = exists if sheet.which == "all" else is_finished
    holders = [root for root in roots if any(there(root, run) for run in needed)]
    _refuse_several(name, holders)
    if not holders:
        return {roots[0]: needed[:1] if sheet.which == "any" else needed}
    extra = list(sheet.optional)
    if sheet.which == "any":
        needed, extra = [], list(sheet.reads)
    chosen = holders if sheet.pooled else holders[:1]
    return {root: needed + [run for run in extra if is_finished(root, run)] for root in chosen}


def _refuse_several(name: str, holders: Sequence[Path]) -> None:
    settings = list(dict.fromkeys(setting(root) for root in holders if setting(root)))
    if len(settings) > 1:
        found = ", ".join(settings)
        raise UserError(f"the runs of {name} are there in several settings ({found}); name one of them with --runs")


def _missing(wanted: Wanted) -> list[tuple[Path, str]]:
    return [(root, run) for root, runs in wanted.items() for run in runs if not is_finished(root, run)]


def _refuse_missing(lacking: Sequence[tuple[Path, str, Maker]]) -> None:
    if not lacking:
        return
    lines = dict.fromkeys(f"  {command(root, name, maker)} --resume" for root, name, maker in lacking)
    commands = "\n".join(lines)
    names = ", ".join(dict.fromkeys(name for _, name, _ in lacking))
    raise UserError(f"runs are missing or unfinished ({names}); make them with\n{commands}")
