"""From sheets and roots to files: gather the runs, draw everything in memory, and only then write."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from figures import style
from figures.catalogue import Sheet
from figures.reading import command, exists, is_finished, load
from hyperopt_hn.errors import UserError
from hyperopt_hn.runlog import Run

FORMATS = ("pdf", "png")


def gather(sheets: Mapping[str, Sheet], roots: Sequence[Path]) -> dict[str, list[dict[str, Run]]]:
    """For each sheet the runs of each root that it draws, the first root first.

    A further root joins a pooled figure when it holds any of its runs, and must then hold all of them. Raises ONE
    UserError listing the command of every missing run, and one for a corrupt run.
    """
    wanted = {name: _wanted(sheet, roots) for name, sheet in sheets.items()}
    pairs = [(root, run) for per_root in wanted.values() for root, runs in per_root.items() for run in runs]
    _refuse_missing([pair for pair in dict.fromkeys(pairs) if not is_finished(*pair)])
    return {
        name: [{run: load(root, run, sheet.reads[run]) for run in runs} for root, runs in wanted[name].items()]
        for name, sheet in sheets.items()
    }


def render(name: str, fig: Figure) -> dict[str, bytes]:
    """A figure as files, file name -> bytes; equal figures give equal bytes (no date, no program version)."""
    FigureCanvasAgg(fig)
    told = str(fig.get_label())
    files = {}
    metadata = {
        "pdf": {"Title": name, "Subject": told, "Creator": None, "Producer": None, "CreationDate": None},
        "png": {"Title": name, "Description": told, "Software": None},
    }
    with style.house():
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
            part = out / f".{name}.{os.getpid()}.part"
            try:
                part.write_bytes(content)
                os.replace(part, out / name)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write figures to {out}: {error.strerror}; choose a folder with --out") from error


def _wanted(sheet: Sheet, roots: Sequence[Path]) -> dict[Path, list[str]]:
    """Root -> the runs it must give to this sheet."""
    needed = [name for name in sheet.reads if name not in sheet.optional]
    wanted = {}
    for root in roots if sheet.pooled else roots[:1]:
        if root == roots[0] or any(exists(root, name) for name in needed):
            wanted[root] = needed + [name for name in sheet.optional if is_finished(root, name)]
    return wanted


def _refuse_missing(pairs: Sequence[tuple[Path, str]]) -> None:
    if not pairs:
        return
    lines = dict.fromkeys(f"  {command(root, name)} --resume" for root, name in pairs)
    told = "\n".join(lines)
    names = ", ".join(dict.fromkeys(name for _, name in pairs))
    raise UserError(f"runs are missing or unfinished ({names}); make them with\n{told}")
