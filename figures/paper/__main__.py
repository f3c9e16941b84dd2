"""`python -m figures.paper --runs ROOT [--out DIR]`: all figures and tables of both papers as one PDF and one HTML.

The text is `paper.typ`; each number in it comes from the runs (`numbers.py`), each picture is drawn anew from them.
Equal runs give equal bytes. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from figures.catalogue import SHEETS
from figures.kit import render
from figures.kit.roots import expand
from figures.paper.evidence import told
from figures.paper.numbers import gathered
from figures.study.from_records import drawn
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.display.output import protected

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Write paper.pdf and paper.html, both or neither; 2 after one line on a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m figures.paper", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", action="append", required=True, type=Path, metavar="ROOT", help="as for figures")
    parser.add_argument("--out", type=Path, default=Path("out/paper"), metavar="DIR", help="where to write")
    given = parser.parse_args(arguments)
    try:
        files = made(given.runs)
        render.write(files, given.out)
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    for name in files:
        print(given.out / name)
    return 0


def made(given: Sequence[Path]) -> dict[str, bytes]:
    """The document as files, file name -> bytes; records of studies are those in the folder study/ of a root.

    Raises UserError without typst, or without any run to draw.
    """
    try:
        import typst
    except ImportError:
        raise UserError("the paper is set by typst; install it with: pip install 'hyperopt_hn[paper]'") from None
    roots = expand(given)
    sheets = render.feasible(SHEETS, roots)
    if not sheets:
        raise UserError(f"no figure's runs are under {', '.join(map(str, roots))}; see python -m figures --help")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("paper.typ", "references.bib"):
            shutil.copy(HERE / name, folder / name)
        figures = {name: sheets[name].draw(*runs) for name, runs in render.gather(sheets, roots).items()}
        figures |= drawn(given, ())
        for name, figure in figures.items():
            for file, content in render.encode(name, figure).items():
                (folder / file).write_bytes(content)
        records = next((root / "study" for root in given if (root / "study").is_dir()), None)
        numbers = gathered(roots) | {"figures": list(figures), "study": None if records is None else told(records)}
        (folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
        main_file = str(folder / "paper.typ")
        return {
            "paper.pdf": typst.compile(main_file, root=place, format="pdf"),
            "paper.html": typst.compile_with_warnings(main_file, root=place, format="html")[0],
        }


if __name__ == "__main__":
    raise SystemExit(protected(main))
