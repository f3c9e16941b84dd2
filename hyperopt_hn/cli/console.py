"""`hyperopt-hn runs|toy|deep|figures …`: the command lines of the project under one name.

`runs` comes with the package. The experiments and figures are in the repository: from a clone (`pip install -e .`)
they run from any folder.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from hyperopt_hn.config import unknown
from hyperopt_hn.runs.display.output import one_line, protected

COMMANDS = {
    "runs": ("hyperopt_hn.runs", "show, tabulate and plot recorded runs"),
    "toy": ("toy", "hypernetworks in autograd: the experiments of Lorraine & Duvenaud 2018"),
    "deep": ("deep", "self-tuning networks in PyTorch: MacKay et al. 2019, Bae & Grosse 2020"),
    "figures": ("figures", "draw figures from finished runs"),
}
"""Word -> module that runs as `python -m`, and what it is for."""

ROOT = Path(__file__).parents[2]
"""The clone's folder, or where packages are installed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return protected(lambda: _main(words))


def _main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview(), end="")
        return 0
    if words[0] == "--version":
        from hyperopt_hn import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        return _failed(unknown("command", words[0], COMMANDS))
    module = COMMANDS[words[0]][0]
    if not _importable(module):
        return _failed(f"{module} is not installed: it runs in a clone of the repository, set up with pip install -e .")
    sys.argv = [f"hyperopt-hn {words[0]}", *words[1:]]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except ImportError as error:
        return _failed(f"{module} needs the package {error.name}: {_extra(words[0])}" if error.name else str(error))
    return 0


def _importable(module: str) -> bool:
    """Whether it can be imported; a clone's folder is made known to this process and to those that it starts."""
    if module.startswith("hyperopt_hn"):
        return True
    if not (ROOT / "pyproject.toml").exists() or not (ROOT / module / "__main__.py").exists():
        return False
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ROOT) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), *paths]))
    return True


def _extra(command: str) -> str:
    return f"pip install -e '.[{command}]' in the clone" if command != "runs" else "pip install it"


def _overview() -> str:
    lines = [f"  {word:8}  {about}" for word, (_, about) in COMMANDS.items()]
    return "usage: hyperopt-hn COMMAND ...\n\n" + "\n".join(lines) + "\n\nhyperopt-hn COMMAND --help shows more.\n"


def _failed(message: str) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
