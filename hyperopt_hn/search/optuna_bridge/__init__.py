"""The one package that imports Optuna: its distributions, its samplers, its studies and storages."""

import optuna

from hyperopt_hn.search.optuna_bridge.sampling import TrialSampler, propose
from hyperopt_hn.search.optuna_bridge.storages import open_storage, open_study, reached
from hyperopt_hn.search.optuna_bridge.studies import ask, give_up, tell
from hyperopt_hn.search.optuna_bridge.translation import (
    distributions,
    flat_values,
    hypers,
    suggest,
    unflat,
    values_of,
)

__all__ = [
    "TrialSampler",
    "ask",
    "distributions",
    "flat_values",
    "give_up",
    "hypers",
    "open_storage",
    "open_study",
    "propose",
    "reached",
    "suggest",
    "tell",
    "unflat",
    "values_of",
]

optuna.logging.set_verbosity(optuna.logging.ERROR)
