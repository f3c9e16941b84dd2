"""The figures that `python -m figures` draws from records of studies instead of runs: a name -> how."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from figures.study import cost_against_quality, lambda_in_lockstep
from hyperopt_hn.errors import UserError

FROM_RECORDS = {"cost_against_quality": cost_against_quality, "lambda_in_lockstep": lambda_in_lockstep}


def drawn(roots: Sequence[Path], names: Sequence[str]) -> dict[str, Figure]:
    """Those of `names` (all for none) whose records are under a root. Raises UserError for one asked for in vain."""
    found = {}
    for name, module in FROM_RECORDS.items():
        root = next((root for root in roots if module.has_records(root)), None)
        if root is not None and (not names or name in names):
            found[name] = module.draw(root)
        elif name in names:
            places = ", ".join(map(str, roots))
            raise UserError(f"the records of {name} are not under {places}; give --runs figures/recorded")
    return found
