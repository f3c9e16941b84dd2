"""A callable objective for any search: hyperparameters -> the best validation loss of a fixed network.

PyTorch is loaded when an objective is made, not before.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperopt_hn.config import override, unknown
from hyperopt_hn.errors import NonFiniteError, UserError
from hyperopt_hn.space import HyperSpace

EXPERIMENTS = ("cnn", "lstm")
REACH = 100.0
"""A range without an upper end is searched to low + so many times init - low."""


@dataclass(frozen=True, eq=False)
class Objective:
    """Natural values by name -> the best validation loss of a fixed network trained at them.

    Hyperparameters that a call does not name, or sets to 0, are switched off. NaN: training diverged before the first
    evaluation. `space` holds every hyperparameter, with finite ranges.
    """

    experiment: str
    config: Any
    data: Any
    space: HyperSpace

    def __call__(self, values: Mapping[str, Any]) -> float:
        """Train at these values. Raises UserError for an unknown name, or a value outside its range."""
        for name in values:
            if name not in self.space.names:
                raise UserError(unknown("hyperparameter", name, self.space.names))
        given = ",".join(f"{name}={float(value)!r}" for name, value in values.items() if self._acts(name, value))
        config = override(self.config, {"tune": "none", "fix": "", "init": given})
        return _trained(self.experiment, config, self.data)

    def _acts(self, name: str, value: Any) -> bool:
        return bool(value) or self.space[name].grid is not None


def objective(
    experiment: str = "cnn",
    preset: str = "quick",
    seed: int = 7,
    data: str = "auto",
    settings: Mapping[str, Any] | None = None,
) -> Objective:
    """The objective of a fixed CNN ("cnn") or language model ("lstm"), for Optuna or a search of your own.

    objective("cnn", preset="quick", seed=7)({"dropout0": 0.2, "hue": 0.1}) is a best validation loss in nats.
    `settings` are further settings by name, as on the command line: {"epochs": 20}. Raises UserError for unknown ones.
    """
    from deep.__main__ import PROGRAM
    from deep.cnn import experiment as cnn
    from deep.lstm.experiment import HYPERS
    from hyperopt_hn.search.proposals import searchable

    if experiment not in EXPERIMENTS:
        raise UserError(unknown("objective", experiment, EXPERIMENTS))
    found = PROGRAM.find(experiment)
    if preset not in found.presets:
        raise UserError(unknown("preset", preset, found.presets))
    config = override(found.presets[preset], {**(settings or {}), "seed": seed})
    loaded: Any = found.load(data, None)
    config = found.fit(config, loaded)
    hypers = cnn.cnn_hypers(cnn.setting(config, loaded)) if experiment == "cnn" else HYPERS
    return Objective(experiment, config, loaded, searchable(HyperSpace(hypers), REACH))


def _trained(experiment: str, config: Any, data: Any) -> float:
    from deep.__main__ import PROGRAM
    from hyperopt_hn.cli.experiment import Context
    from hyperopt_hn.loop import alternate
    from hyperopt_hn.nn import OverTuningWarning
    from hyperopt_hn.nn.self_tuning.memory import Memory
    from hyperopt_hn.runs.display.progress import Progress

    found, log = PROGRAM.find(experiment), Memory()
    tuner, plan = found.build(config, found.arms[0], Context(data, Path()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OverTuningWarning)  # nothing is tuned here
        with suppress(NonFiniteError):  # its loss is the best that it had reached
            alternate(tuner, plan, log, Progress(experiment, plan.total, quiet=True))
    losses = [record["valid_loss"] for record in log.records if record["step"]]
    return float(min(losses, default=math.nan))
