"""`python -m toy explore` and `python -m deep explore`: a command that needs Bokeh, which nothing else does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence


def explored(command: str, words: Sequence[str]) -> int:
    """The exit code of `main(words)` of the module `command`; 2 and one line where Bokeh is not installed."""
    try:
        module = importlib.import_module(command)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "bokeh":
            raise
        print("error: pages need Bokeh: python -m pip install 'hyperopt_hn[explore]'", file=sys.stderr)
        return 2
    return int(module.main(words))
