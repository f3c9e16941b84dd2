"""Sphinx: the site that `make docs` builds, without a network."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parent.parent)
sys.path.insert(0, str(Path(ROOT, "docs")))  # the two extensions beside this file
sys.path.insert(0, ROOT)  # toy and deep are read and run from the checkout; the tutorials' kernels need it too
os.environ["PYTHONPATH"] = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])

project = "hyperopt_hn"
author = "the authors of hyperopt_hn"
html_theme = "furo"
html_title = "hyperopt_hn"
html_extra_path = ["extra"] if Path(ROOT, "docs", "extra").is_dir() else []  # pages to play with: make explore
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "inner_links", "outside_names"]
intersphinx_mapping = {  # the names that the pages use; nothing is fetched
    "torch": ("https://docs.pytorch.org/docs/stable/", "inventories/torch.txt"),
    "optuna": ("https://optuna.readthedocs.io/en/stable/", "inventories/optuna.txt"),
}
exclude_patterns = ["extra", "pictures/README.md"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "separated"


def plain_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with names in backticks: what is markup to docutils is escaped, names are literals.

    A module's is shown line by line, as it may hold code.
    """
    if what == "module":
        lines[:] = ["::", "", *(f"   {line}" for line in lines), ""]
        return
    for number, line in enumerate(lines):
        parts = re.split(r"(`[^`]*`)", line)
        lines[number] = "".join(
            f"`{part}`" if index % 2 else re.sub(r"([\\*|_])", r"\\\1", part) for index, part in enumerate(parts)
        )


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", plain_text)
