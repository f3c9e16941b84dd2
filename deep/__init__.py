"""Self-tuning networks in PyTorch, on CPU and CUDA (MacKay et al. 2019; Bae & Grosse 2020)."""

import hyperopt_hn.cli.early  # noqa: F401 - before PyTorch, which takes seconds
from deep.api.best_network import BestNetwork, load_best
from deep.api.objectives import Objective, objective

__all__ = ["BestNetwork", "Objective", "load_best", "objective"]
