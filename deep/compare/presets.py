"""The comparisons by name: which networks and texts, under which budget, in the presets paper, quick and smoke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deep.cnn import experiment as cnn_experiment
from deep.cnn import hypers
from deep.cnn import presets as cnn_presets
from deep.cnn.experiment import CNNConfig
from deep.compare.arms import ARMS, Entry, SearchConfig, Task, compared
from deep.lstm import experiment as lstm_experiment
from deep.lstm import presets as lstm_presets
from deep.lstm.experiment import LSTMConfig
from deep.replay import refuse_replay
from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.experiment import Context
from hyperopt_hn.data.catalogue import Images
from hyperopt_hn.schedule import Alternation

__all__ = ["ARMS", "COMPARE", "CompareCNN", "CompareLSTM", "cnn", "fit_cnn", "lstm"]

HAND_CNN = {"hue": 0.2, "contrast": 0.4, "sat": 0.4, "bright": 0.4, "indropout": 0.4, "cutlength": 5, "cutholes": 2}
"""The published baseline's example; with it go 0.3 behind convolutions and 0.4 before linear layers."""
HAND_CONV, HAND_LINEAR = 0.3, 0.4
HAND_LSTM = {"dropouto": 0.68, "dropouti": 0.05, "dropouth": 0.05, "dropoute": 0.05, "wdrop": 0.05}
"""Output dropout from the published grid search, where the other rates are 0.05 and penalties are off."""
GROUPS_LSTM = {
    "units": ("dropouto", "dropouti", "dropouth"),
    "weights": ("dropoute", "wdrop"),
    "penalties": ("alpha", "beta"),
}
GROUPS_CNN = ("dropouts", "jitters", "cutout", "input", "affine")


@dataclass(frozen=True)
class CompareCNN:
    """A CNN, and the searches that compete with its tuning."""

    cnn: CNNConfig = field(default_factory=CNNConfig)
    search: SearchConfig = field(default_factory=SearchConfig)


@dataclass(frozen=True)
class CompareLSTM:
    """A language model, and the searches that compete with its tuning."""

    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    search: SearchConfig = field(default_factory=SearchConfig)


def cnn(config: CompareCNN, arm: str, context: Context) -> tuple[Tuner, Alternation]:
    """One arm of compare-cnn."""
    refuse_replay(config.cnn.schedule, "cnn")
    return compared(Entry(CNN, config.cnn, config.search, context.data), arm)


def fit_cnn(config: CompareCNN, data: Images) -> CompareCNN:
    """The configuration with the numbers of images that the data can fill."""
    return replace(config, cnn=cnn_experiment.fit(config.cnn, data))


def lstm(config: CompareLSTM, arm: str, context: Context) -> tuple[Tuner, Alternation]:
    """One arm of compare-lstm."""
    refuse_replay(config.lstm.schedule, "lstm")
    return compared(Entry(LSTM, config.lstm, config.search, context.data), arm)


def _hand_cnn(config: CNNConfig, data: Images) -> Mapping[str, float]:
    """What of the published constant network and images have."""
    here = cnn_experiment.setting(config, data)
    rates = {name: HAND_LINEAR if name.startswith("fc") else HAND_CONV for name in here.dropouts}
    there = {hyper.name for hyper in hypers.cnn_hypers(here)}
    return {name: value for name, value in {**rates, **HAND_CNN}.items() if name in there}


def _groups_cnn(config: CNNConfig, data: Images) -> Mapping[str, tuple[str, ...]]:
    known = hypers.groups(cnn_experiment.setting(config, data))
    return {name: known[name] for name in GROUPS_CNN}


CNN = Task(
    "compare-cnn",
    cnn_experiment.space_of_config,
    cnn_experiment.build_tuner,
    lambda config, data: cnn_experiment.per_epoch(config),
    _groups_cnn,
    _hand_cnn,
)
LSTM = Task(
    "compare-lstm",
    lambda config, data: lstm_experiment.space_of_config(config),
    lstm_experiment.build_tuner,
    lstm_experiment.per_epoch,
    lambda config, data: GROUPS_LSTM,
    lambda config, data: HAND_LSTM,
)


def _cnn_span(config: CNNConfig, **changes: Any) -> CNNConfig:
    return replace(config, span=replace(config.span, **changes))


def _lstm_span(config: LSTMConfig, **changes: Any) -> LSTMConfig:
    return replace(config, span=replace(config.span, **changes))


COMPARE: dict[str, dict[str, object]] = {
    "compare-cnn": {
        # Budget: what 200 epochs of self-tuning take, 93,000 total steps.
        "paper": CompareCNN(
            _cnn_span(cnn_presets.PAPER, epochs=200, patience=0),
            SearchConfig(trial_steps=18_720, trial_patience=10, population=8, interval=312),
        ),
        # A time budget, as a self-tuning step costs more than a plain one: enough for five or six trials.
        "quick": CompareCNN(_cnn_span(cnn_presets.QUICK, max_seconds=150.0, evaluations=0.5), SearchConfig(startup=3)),
        "smoke": CompareCNN(
            _cnn_span(cnn_presets.SMOKE, max_steps=24, warmup_epochs=1),
            SearchConfig(trial_steps=8, population=2, grid_levels=2),
        ),
    },
    "compare-lstm": {
        "paper": CompareLSTM(
            _lstm_span(lstm_presets.PAPER, epochs=200, patience=0),
            SearchConfig(trial_steps=332 * 40, trial_patience=10, population=8, interval=332),
        ),
        # Budget: 50 epochs of self-tuning, 5,588 total steps. A fixed run's loss is within 0.03 nats of
        # its best after ten epochs, where a trial ends (seen with seed 7, output dropout alone): enough for about eight
        # trials. With 25 epochs (seed 7) the seven hyperparameters were still far from where they end.
        "quick": CompareLSTM(
            _lstm_span(lstm_presets.STUDY, epochs=50), SearchConfig(trial_steps=750, trial_patience=4, startup=3)
        ),
        "smoke": CompareLSTM(
            _lstm_span(lstm_presets.TINY, max_steps=24),
            SearchConfig(trial_steps=8, population=2, grid_levels=2),
        ),
    },
}
