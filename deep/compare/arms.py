"""One budget for ten ways to choose hyperparameters: self-tuning, constants, search, population-based training.

Every arm has the same data, network, batches and optimizer of φ, and the same number of total steps (training and
tuning: `--max-steps`; a self-tuning run does not start an incomplete cycle, so it may be a step short) or seconds
(`--max-seconds`). A search's and a population's record is the best state so far by validation loss, the others' the
present one; the best of every arm is in its result, and in best.pt.

    stn, delta     one self-tuning network (MacKay et al. 2019; Bae & Grosse 2020)
    fixed          nothing tuned: everything at its initial value
    hand           nothing tuned: a good hand-set constant
    plain          nothing on: no dropout, no augmentation, no penalty
    random, grid   fixed-λ networks one after another at drawn values, or at levels that groups share
    tpe, gp        the same at Optuna's proposals: tree-structured Parzen estimators, a Gaussian process
    pbt            population-based training (Jaderberg et al. 2017)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deep.compare import population, trials
from deep.training import Span, alternation, between_evaluations
from hyperopt_hn.bilevel import Tuner
from hyperopt_hn.cli.experiment import Data
from hyperopt_hn.config import check, flat_fields, option, override
from hyperopt_hn.course import Course
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TorchTuner, distributed
from hyperopt_hn.schedule import Alternation
from hyperopt_hn.search.proposals import METHODS, Search, searchable
from hyperopt_hn.search.storage import SharedStudy, check_storage
from hyperopt_hn.search.study import OwnStudy, Study
from hyperopt_hn.space import HyperSpace

TUNED = ("stn", "delta", "split")
SPLIT = {"spread": 2.0, "box": 3.5}
"""What the arm split takes beside its response; the others perturb as their preset says."""
CONSTANT = ("fixed", "hand", "plain")
ARMS = (*TUNED, *CONSTANT, *METHODS, "pbt")
NO_LIMIT = 1_000_000_000
SEED_STRIDE = 1000
"""Between the seeds of a run's trials or members, so that those of neighbouring runs do not meet."""


@dataclass(frozen=True)
class SearchConfig:
    """The searches and the population; the self-tuning arms need none of it."""

    trial_steps: int = option(400, "steps after which a trial ends; 0: only its patience ends it", "steps", least=0)
    trial_patience: int = option(
        3, "evaluations without improvement after which a trial ends; 0: never", "evaluations", least=0
    )
    start_at_init: bool = option(True, "the first trial, or member, starts at the initial values, as self-tuning does")
    startup: int = option(10, "trials before TPE and GP model what they saw (10: Optuna's default)", "trials", least=1)
    fresh: bool = option(False, "every trial starts from weights and batches of its own seed instead of the run's")
    grid_levels: int = option(3, "levels of a grid; a group's hyperparameters share one", "levels", least=1)
    reach: float = option(100.0, "a range without an upper end is searched to low + so many times init - low", above=1)
    population: int = option(4, "members of the population", "networks", least=2)
    interval: int = option(0, "steps of a member's turn; 0: from one evaluation to the next", "steps", least=0)
    resample: float = option(0.25, "probability that a copied value is drawn anew instead of scaled", least=0, most=1)
    storage: str = option("", "an Optuna storage in which processes or machines share a search: sqlite:///FILE, "
                          "journal:FILE, any URL that Optuna takes; nothing: memory", technical=True)  # fmt: skip
    study: str = option("", "name of the shared study, to which arm and seed are added; nothing: the experiment's")

    def __post_init__(self) -> None:
        check(self)
        if not self.trial_steps and not self.trial_patience:
            raise UserError("--trial-steps 0 with --trial-patience 0 is a trial without an end; give one of them")


@dataclass(frozen=True)
class Task:
    """What is compared on: a CNN's or an LSTM's experiment; `config` is its configuration, with `span` and `seed`."""

    name: str
    """Of the experiment."""
    space: Callable[[Any, Any], HyperSpace]
    """(config, data) -> the space that the configuration chooses."""
    build: Callable[..., Any]
    """(config, data, space, course or None) -> a tuner of that space."""
    per_epoch: Callable[[Any, Any], int]
    """(config, data) -> training steps in an epoch."""
    groups: Callable[[Any, Any], Mapping[str, tuple[str, ...]]]
    """(config, data) -> hyperparameters that share a level of the grid."""
    hand: Callable[[Any, Any], Mapping[str, float]]
    """(config, data) -> a good constant for what network and data have."""


@dataclass(frozen=True)
class Entry:
    """One arm's case: a task, its configuration, the searches' and the data."""

    task: Task
    config: Any
    search: SearchConfig
    data: Data

    @property
    def space(self) -> HyperSpace:
        """The space that the configuration chooses. Raises UserError if it tunes nothing."""
        found = self.task.space(self.config, self.data)
        if not found.n:
            raise UserError("there is nothing to compare: --tune names no hyperparameter")
        return found

    @property
    def every(self) -> int:
        """Training steps between evaluations."""
        return round(between_evaluations(self.config.span, self.task.per_epoch(self.config, self.data)))


def compared(entry: Entry, arm: str) -> tuple[Tuner, Alternation]:
    """An arm's tuner and schedule. A storage that cannot be opened is refused before the first arm trains."""
    space = entry.space
    if entry.search.storage:
        check_storage(entry.search.storage)
    if arm in TUNED:
        return _self_tuning(entry, arm, space)
    if arm in CONSTANT:
        config, fixed = _constant(entry, arm, space)
        return entry.task.build(config, entry.data, fixed, None), _schedule(entry, entry.config.span.patience)
    ranges = searchable(space, entry.search.reach)
    return (_population(entry, space, ranges) if arm == "pbt" else _trials(entry, arm, space, ranges)), _schedule(entry)


def budget(span: Span, per_epoch: int) -> int:
    """Total steps of every arm: `max_steps`, else no limit if there is one in seconds, else those of `epochs`."""
    if span.max_steps:
        return span.max_steps
    return NO_LIMIT if span.max_seconds else alternation(span, per_epoch, True).total


def _self_tuning(entry: Entry, arm: str, space: HyperSpace) -> tuple[Tuner, Alternation]:
    config = override(entry.config, {"response": arm, **(SPLIT if arm == "split" else {})})
    space = entry.task.space(config, entry.data)
    per_epoch, span = entry.task.per_epoch(config, entry.data), config.span
    most = budget(span, per_epoch)
    # Epochs bound the budget of all arms or of none.
    lifted = override(span, {"epochs": NO_LIMIT // per_epoch, "max_steps": most})
    return entry.task.build(config, entry.data, space, None), alternation(lifted, per_epoch, True)


def _constant(entry: Entry, arm: str, space: HyperSpace) -> tuple[Any, HyperSpace]:
    if arm == "fixed":
        return entry.config, space.with_tuned([])
    values = entry.task.hand(entry.config, entry.data) if arm == "hand" else {}
    given = ",".join(f"{name}={value:g}" for name, value in values.items())
    config = override(entry.config, {"tune": "none", "fix": "", "init": given})
    return config, entry.task.space(config, entry.data)


def _schedule(entry: Entry, patience: int = 0) -> Alternation:
    """Training steps alone, to the end of the budget; one that epochs give is rounded down to whole ones.

    A loss inside an epoch is not comparable with one at its end, which is lower (an LSTM's: by 3 to 10 perplexity).
    """
    span, per_epoch = entry.config.span, entry.task.per_epoch(entry.config, entry.data)
    steps = budget(span, per_epoch)
    if not (span.max_steps or span.max_seconds):
        steps -= steps % per_epoch
    return Alternation(
        steps=steps,
        tune_per_cycle=0,
        evaluate_every=entry.every,
        evaluate_train=between_evaluations(span, per_epoch),
        patience=patience,
        max_seconds=span.max_seconds,
    )


def _trials(entry: Entry, method: str, space: HyperSpace, ranges: HyperSpace) -> trials.Trials:
    config, search = entry.config, entry.search

    def build(values: Mapping[str, Any], number: int) -> Tuner:
        seeded = override(config, {"seed": config.seed + SEED_STRIDE * number}) if search.fresh else config
        tuner: Tuner = entry.task.build(seeded, entry.data, space.with_init(values).with_tuned([]), None)
        return tuner

    plan = trials.TrialPlan(search.trial_steps or NO_LIMIT, search.trial_patience, entry.every)
    return trials.Trials(_study(entry, method, ranges), build, plan)


def _study(entry: Entry, method: str, ranges: HyperSpace) -> Study:
    config, search = entry.config, entry.search
    groups = entry.task.groups(config, entry.data)
    asked = Search(ranges, method, config.seed, search.grid_levels, groups, search.start_at_init, search.startup)
    if not search.storage:
        return OwnStudy(asked)
    if distributed.world() > 1:
        raise UserError("--storage under torchrun: one process for each GPU shares a study by itself; leave torchrun")
    name = f"{search.study or entry.task.name}-{method}-seed{config.seed}"
    return SharedStudy(asked, search.storage, name, _terms(entry))


def _terms(entry: Entry) -> dict[str, Any]:
    """What all trials of a shared study have in common: every setting that changes a trial's loss, and the data."""
    search = entry.search
    own = {"trial_steps": search.trial_steps, "trial_patience": search.trial_patience, "fresh": search.fresh}
    config = {k: v for k, v in flat_fields(entry.config).items() if k not in _NO_TERMS}
    return {**config, **own, "data": f"{entry.data.name} {entry.data.sha256}"}


_NO_TERMS = (
    *("seed", "max_steps", "max_seconds", "epochs", "patience", "warmup_epochs", "train_per_cycle", "tune_per_cycle"),
    *("response", "tune_spreads", "tau", "hyper_optimizer", "lr_lam", "lr_rho", "spread", "hyper_input"),
    *("device", "compile", "channels_last", "deterministic", "tensorboard"),
)
"""Settings that a trial does not know, or that change its speed and rounding alone; the seed is the search's."""


def _population(entry: Entry, space: HyperSpace, ranges: HyperSpace) -> population.Population:
    config, search = entry.config, entry.search

    def build(member: int, course: Course) -> TorchTuner:
        # A member with no rate left waits to be replaced: only the budget ends a population.
        seeded = override(config, {"seed": config.seed + SEED_STRIDE * member, "least_lr": 0.0})
        tuner = entry.task.build(seeded, entry.data, space.with_tuned([]), course)
        if not isinstance(tuner, TorchTuner):
            raise UserError("averaged weights are not copied from member to member; leave --average out of the arm pbt")
        return tuner

    plan = population.PopulationPlan(
        search.population, search.interval or entry.every, search.resample, search.start_at_init
    )
    return population.Population(ranges, build, plan, config.seed)
