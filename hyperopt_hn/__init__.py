"""Hyperparameter optimization with hypernetworks: the interface that `toy` (autograd) and `deep` (PyTorch) share.

Importing this package loads neither autograd nor torch.
"""

from __future__ import annotations

from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.loop import Outcome, alternate
from hyperopt_hn.perturbation import entropy, perturb
from hyperopt_hn.runs.reader import Run, find_run
from hyperopt_hn.runs.writer import RunLog
from hyperopt_hn.schedule import Alternation
from hyperopt_hn.space import Hyper, HyperSpace

__version__ = "0.1.0"

__all__ = [
    "Alternation",
    "Hyper",
    "HyperSpace",
    "NonFiniteError",
    "Outcome",
    "Run",
    "RunLog",
    "Tuner",
    "UserError",
    "alternate",
    "entropy",
    "find_run",
    "perturb",
]
