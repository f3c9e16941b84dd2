"""Hyperparameter optimization with hypernetworks: the interface that `toy` (autograd) and `deep` (PyTorch) share.

Importing this package loads neither autograd nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hyperopt_hn.bilevel import Problem, Tuner
from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.loop import Alternation, Outcome, alternate
from hyperopt_hn.perturbation import entropy, perturb
from hyperopt_hn.space import Hyper, HyperSpace

if TYPE_CHECKING:
    from hyperopt_hn.runs.writer import Run, RunLog, find_run

__version__ = "0.1.0"

__all__ = [
    "Alternation",
    "Hyper",
    "HyperSpace",
    "NonFiniteError",
    "Outcome",
    "Problem",
    "Run",
    "RunLog",
    "Tuner",
    "UserError",
    "alternate",
    "entropy",
    "find_run",
    "perturb",
]


def __getattr__(name: str) -> Any:
    """Run, RunLog and find_run when they are asked for: `python -m hyperopt_hn.runs` wants its module untouched."""
    if name in ("Run", "RunLog", "find_run"):
        from hyperopt_hn.runs import writer

        return getattr(writer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
