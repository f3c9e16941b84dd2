"""`python -m toy explore [RUN ...]`: a page for each finished run, or for all under runs/."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperopt_hn.cli.one_line_parser import OneLineParser
from hyperopt_hn.config import override
from hyperopt_hn.data.catalogue import Images, load
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.pages import course_page
from hyperopt_hn.runs.reader import Run
from toy import assemble
from toy.experiments import PRESETS, HyperTraining
from toy.explore import hypernetwork_page, manifold_page, surrogates_page
from toy.explore.small_network import SmallNetwork
from toy.saved import load_run

SMALL = ("global-small/hypernet", "local-small/hypernet")
FROM_ARRAYS = {"loss-manifold/closed-form": manifold_page.build, "weights-vs-loss/surrogates": surrogates_page.build}
"""Pages made of what a run left for figures, so of recorded copies too."""
KNOWN = (*SMALL, *FROM_ARRAYS)


def main(arguments: Sequence[str]) -> int:
    """Write the pages and print where; the exit code is 0, or 2 after one line on a mistake of the user's."""
    parser = OneLineParser(
        prog="python -m toy explore", description="A run as one HTML page to play with, without a network."
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run directories (default: all under runs/)")
    parser.add_argument("--out", type=Path, default=Path("out/explore"), help="where to write (default: out/explore)")
    parser.add_argument("--data-root", type=Path, help="folder with the data sets (default: $HYPEROPT_HN_DATA)")
    try:
        asked = parser.parse_args(arguments)
        for path in asked.runs or _all():
            print(page(path, asked.out, asked.data_root))
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    return 0


def page(path: Path, out: Path, data_root: Path | None = None) -> Path:
    """The page of one run. Raises UserError where it is unfinished or has none."""
    run = Run(path)
    name = _name(run)
    if not run.finished:
        raise UserError(f"{path} is not finished; go on with it: python -m toy {name.split('/')[0]} --resume")
    file = out / f"{run.path.resolve().parents[1].name}-{name.replace('/', '-')}.html"
    if name in FROM_ARRAYS:
        return FROM_ARRAYS[name](run, file)
    return _hypernetwork(path, file, data_root) if name in SMALL else course_page.build(run, file)


def _hypernetwork(path: Path, file: Path, data_root: Path | None) -> Path:
    saved = load_run(path, end=True)
    config = settings(saved.run)
    problem = assemble.decay_problem(config.sizes, config.model, data_of(saved.run, data_root))
    return hypernetwork_page.build(SmallNetwork.of(saved, problem), assemble.axis(config.tuner), file)


def settings(run: Run) -> HyperTraining:
    """The configuration that a run of a hypernetwork was made with."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in run.config["config"].items()}
    config = override(PRESETS[run.config["experiment"]][run.config["preset"]], given)
    assert isinstance(config, HyperTraining)
    return config


def data_of(run: Run, data_root: Path | None) -> Images:
    """The data set that a run was made on. Raises UserError where another one is found under its name."""
    wanted = run.config["data"]
    data = load(wanted["name"], data_root)
    if data.sha256 != wanted["sha256"]:
        raise UserError(f"{run.path} was made on other data named {wanted['name']}; give the folder with --data-root")
    return data


def _name(run: Run) -> str:
    return f"{run.config.get('experiment')}/{run.config.get('arm')}"


def _all() -> list[Path]:
    found = [path.parent for name in KNOWN for path in sorted(Path("runs").glob(f"*/{name}/result.json"))]
    if not found:
        raise UserError("no finished run that has a page under runs/; make one: python -m toy local-small")
    return found
