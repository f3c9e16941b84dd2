"""From a configuration, an arm's name and data to what `alternate` runs: a tuner and its schedule."""

from __future__ import annotations

from deep.cnn import experiment
from deep.cnn.experiment import CNNConfig
from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.experiment import Context
from hyperopt_hn.loop import Alternation


def cnn(config: CNNConfig, arm: str, context: Context) -> tuple[Tuner, Alternation]:
    """One CNN: what `--tune` names is tuned, what `--fix` names is held, or a recorded schedule is followed."""
    if config.network.replay:
        space, course = experiment.replayed(config, context.data)
    else:
        space, course = experiment.space_of_config(config, context.data), None
    return experiment.build_tuner(config, context.data, space, course), experiment.plan(config, space)
