"""What a schedule of one hyperparameter is worth: table 1 of the STN paper, arm by arm (MacKay et al. 2019).

Output dropout alone moves. Fixed, noisy and wavy rates, the STN's own schedule, and the values it ended at.
"""

from __future__ import annotations

from dataclasses import dataclass

from deep.choice import TuningChoice, fixed_at
from deep.lstm.experiment import LSTMConfig, build, space_of_config
from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.experiment import Context
from hyperopt_hn.config import check, option
from hyperopt_hn.course import Course, Gaussian, Replay, Sinusoid
from hyperopt_hn.errors import UserError
from hyperopt_hn.runs.reader import Run
from hyperopt_hn.schedule import Alternation
from hyperopt_hn.space import HyperSpace

NAME = "dropouto"
ONE = TuningChoice(tune=NAME, fix="dropouti,dropouth,dropoute,wdrop", init="dropouts=0.05", spread=1.0)
"""Output dropout tuned, the other dropouts at 0.05, no penalties."""

LSTM = LSTMConfig(choice=ONE)
STARTS = {"init30": 0.3, "init50": 0.5, "init70": 0.7, "init90": 0.9}
ARMS = ("fixed", "gaussian", "sinusoid", "stn", "replay", "final", *STARTS)
AFTER = {"replay": ("stn",), "final": ("stn",)}
LOW, HIGH = 0.0, 0.99
"""Where noisy rates are clipped, as published."""


@dataclass(frozen=True)
class DropoutRates:
    """The rates of the arms that tune nothing, and where the STN starts."""

    rate: float = option(0.68, "fixed output dropout, and the centre of noise and wave", above=0, most=0.99)
    start: float = option(0.05, "output dropout from which the arm stn starts", above=0, most=0.99)
    noise: float = option(0.05, "standard deviation of the noise, drawn anew for each window", least=0)
    amplitude: float = option(0.1, "amplitude of the sinusoid", least=0)
    period: float = option(1200.0, "period of the sinusoid", unit="train steps", above=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Table1:
    """The language model and the rates of the arms."""

    lstm: LSTMConfig = LSTM
    rates: DropoutRates = DropoutRates()


def build_arm(config: Table1, arm: str, context: Context) -> tuple[Tuner, Alternation]:
    """One row of the table."""
    whole = space_of_config(config.lstm)
    if NAME not in whole.names:
        raise UserError(f"table1 is about {NAME}; put it into --tune or --fix")
    space, course = _row(config, arm, whole, context)
    return build(config.lstm, space, course, context)


def _row(config: Table1, arm: str, whole: HyperSpace, context: Context) -> tuple[HyperSpace, Course | None]:
    rates, seed = config.rates, config.lstm.seed
    if arm == "stn" or arm in STARTS:
        return whole.with_init({NAME: STARTS.get(arm, rates.start)}), None
    centre = {NAME: rates.rate}
    space = fixed_at(whole, centre)
    if arm == "gaussian":
        return space, Gaussian(centre, rates.noise, seed, LOW, HIGH)
    if arm == "sinusoid":
        return space, Sinusoid(centre, rates.amplitude, rates.period, 0.0, LOW, HIGH)
    if arm == "replay":
        path = config.lstm.schedule.replay
        return space, Replay.read(path, space) if path else Replay.of_run(_stn(context), space)
    if arm == "final":
        last = _stn(context).records[-1]["hypers"]
        return fixed_at(whole, {name: last[name] for name in whole.names}), None
    return space, None


def _stn(context: Context) -> Run:
    """The finished run of the arm stn."""
    if not (context.root / "table1" / "stn" / "result.json").exists():
        raise UserError(
            f"there is no finished table1/stn under {context.root}, whose schedule this arm needs; run "
            "python -m deep table1 --arms stn with the same settings first"
        )
    return context.run("table1/stn")
