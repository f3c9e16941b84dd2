"""The one module that imports Optuna: its spaces, its samplers seeded trial by trial, its studies and storages."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock, JournalStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, OperationalError

from hyperopt_hn.errors import UserError
from hyperopt_hn.hyper import Hyper
from hyperopt_hn.runs.settings import masked
from hyperopt_hn.search.trial import Trial

T = TypeVar("T")
Known = Callable[[int], Mapping[str, Any] | None]

LOCKED_SECONDS = 60.0
"""How long a process waits for an SQLite file that another one is writing; the driver's default is 5 s."""

RACE_SECONDS = (0.1, 0.3, 1.0, 3.0, 5.0)
"""Pauses between attempts to open a new storage: processes that begin one at once fail at making its tables."""

FAULTS = (OSError, StorageInternalError, JSONDecodeError)
"""What a storage raises once it is open."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Space(Protocol):
    """What is asked of a HyperSpace here."""

    tuned: tuple[str, ...]

    def __getitem__(self, name: str) -> Hyper: ...


class TrialSampler(BaseSampler):
    """A sampler whose proposal is a function of (seed, the trial's number, the trials so far) alone.

    Optuna's samplers carry a random stream from trial to trial, so a resumed process would propose something else,
    and two processes with one seed the same. Each trial gets a fresh one here, seeded by the trial's number.
    """

    def __init__(self, space: Space, method: str, seed: int, startup: int, known: Known) -> None:
        self.space, self.method, self.seed, self.startup, self.known = space, method, seed, startup, known
        self._inner: BaseSampler | None = None
        self._values: Mapping[str, Any] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the sampler of this trial."""
        values = self.known(trial.number)
        self._values = {} if values is None else flat_values(self.space, values)
        self._inner = None if self._values or self.method not in ("tpe", "gp") else self._model(trial.number)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the trial's sampler has it; nothing where the values are known already."""
        return {} if self._inner is None else self._inner.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        """As the trial's sampler has it."""
        return {} if self._inner is None else self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A known value, or as the trial's sampler has it."""
        if self._inner is None:
            return self._values[param_name]
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def _model(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        # All is given, as defaults changed from Optuna 4 to 5; so given, both propose alike.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna 4 calls GP and constant_liar experimental
            if self.method == "gp":
                return GPSampler(seed=seed, n_startup_trials=self.startup, deterministic_objective=False)
            return TPESampler(
                seed=seed,
                n_startup_trials=self.startup,
                n_ei_candidates=24,
                multivariate=False,
                group=False,
                constant_liar=True,
            )


def propose(space: Space, sampler: BaseSampler, trials: Sequence[Trial], count: int) -> list[dict[str, Any]]:
    """What a sampler would try next, `count` times, after these trials."""
    study = optuna.create_study(sampler=sampler)
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                state=_state(trial.loss),
                params=flat_values(space, trial.values),
                distributions=distributions(space),
                value=_value(trial.loss),
            )
        )
    return [suggest(space, study.ask()) for _ in range(count)]


def ask(study: Study, attributes: Mapping[str, Any]) -> Any:
    """`study.ask()` with attributes that the trial has from its first moment: a kill leaves none without them."""
    begun = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=dict(attributes))
    return optuna.trial.Trial(study, study._storage.create_new_trial(study._study_id, template_trial=begun))


def tell(study: Study, number: int, loss: float) -> None:
    """The loss of a trial, which failed where it is not finite; an already reported trial keeps its value."""
    study.tell(number, _value(loss), _state(loss), skip_if_finished=True)


def give_up(study: Study, trial: Any) -> None:
    """Report a trial that nobody will run."""
    study.tell(trial, state=TrialState.FAIL)


def suggest(space: Space, trial: Any) -> dict[str, Any]:
    """Ask an Optuna trial for a value of every tuned hyperparameter: name -> number or (size,) array."""
    for hyper in tuned(space):
        hyper.need_ends()
    found = {name: _ask(trial, name, dist) for name, dist in distributions(space).items()}
    return unflat(space, found)


def values_of(study: Study, space: Space, trial: FrozenTrial) -> dict[str, Any]:
    """The values of a trial; what it lacks because its run was killed while it asked is asked for now."""
    if trial.state.is_finished():
        return unflat(space, trial.params)
    return suggest(space, optuna.trial.Trial(study, trial._trial_id))


def hypers(distributions: Mapping[str, BaseDistribution], init: Mapping[str, float]) -> list[Hyper]:
    """Hyperparameters with the ranges of Optuna's distributions, starting at `init` or in the middle."""
    return [_hyper(name, dist, init.get(name)) for name, dist in distributions.items()]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distribution of every number that is searched over."""
    return {name: _distribution(hyper) for hyper in tuned(space) for name in entries(hyper)}


def tuned(space: Space) -> list[Hyper]:
    """The hyperparameters that are searched over."""
    return [space[name] for name in space.tuned]


def flat_values(space: Space, values: Mapping[str, Any]) -> dict[str, float | int]:
    """Plain numbers inside the bounds, vectors entry by entry under the names of `HyperSpace.to_optuna`."""
    out: dict[str, float | int] = {}
    for hyper in tuned(space):
        clean = [hyper.clean(min(max(float(x), hyper.low), hyper.high)) for x in np.ravel(values[hyper.name])]
        out.update(zip(entries(hyper), clean, strict=True))
    return out


def unflat(space: Space, found: Mapping[str, Any]) -> dict[str, Any]:
    """What `flat_values` made flat."""
    out: dict[str, Any] = {}
    for hyper in tuned(space):
        numbers = [float(found[name]) for name in entries(hyper)]
        out[hyper.name] = numbers[0] if hyper.size is None else np.array(numbers)
    return out


def entries(hyper: Hyper) -> list[str]:
    """The names of a hyperparameter's numbers: its own, or 'name[0]', 'name[1]', …"""
    return [hyper.name] if hyper.size is None else [f"{hyper.name}[{i}]" for i in range(hyper.size)]


def open_storage(storage: str) -> None:
    """Open it and look whether it answers. Raises UserError for one that does not."""
    _raced(storage, lambda: optuna.get_all_study_names(storage=_storage(storage)))


def open_study(sampler: BaseSampler, storage: str, name: str) -> Study:
    """The study of that name in a storage, made if it is not there: "journal:FILE" or any URL that Optuna takes.

    Raises UserError for a storage that cannot be opened.
    """
    return _raced(
        storage,
        lambda: optuna.create_study(storage=_storage(storage), study_name=name, sampler=sampler, load_if_exists=True),
    )


@contextmanager
def reached(
    storage: str, kinds: tuple[type[Exception], ...] = (OSError, StorageInternalError, JSONDecodeError)
) -> Iterator[None]:
    """Inside, what a storage raises becomes a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        line = next(iter(str(getattr(error, "orig", None) or error).splitlines()), "") or type(error).__name__
        raise _unusable(f"the storage {masked(storage)} cannot be used ({masked(line)[:120]})") from None


def _distribution(hyper: Hyper) -> BaseDistribution:
    if hyper.discrete:
        step = 1 if hyper.step is None else int(hyper.step)
        return IntDistribution(int(hyper.low), int(hyper.high), log=hyper.log, step=step)
    return FloatDistribution(hyper.low, hyper.high, log=hyper.log, step=hyper.step)


def _ask(trial: Any, name: str, dist: BaseDistribution) -> float:
    if isinstance(dist, IntDistribution):
        return float(trial.suggest_int(name, dist.low, dist.high, step=dist.step, log=dist.log))
    assert isinstance(dist, FloatDistribution)
    return float(trial.suggest_float(name, dist.low, dist.high, step=dist.step, log=dist.log))


def _hyper(name: str, dist: BaseDistribution, init: float | None) -> Hyper:
    if not isinstance(dist, (FloatDistribution, IntDistribution)):
        raise UserError(
            f"hyperparameter {name!r}: {type(dist).__name__} cannot be tuned through a learned response, which needs "
            "a continuous scale; search over it with Optuna outside, or give a float or int distribution"
        )
    discrete = isinstance(dist, IntDistribution)
    step = None if dist.step is None or (discrete and dist.step == 1) else float(dist.step)
    if init is None:
        init = math.sqrt(dist.low * dist.high) if dist.log else 0.5 * (dist.low + dist.high)
        grid = step if step is not None else 1.0 if discrete else None
        init = init if grid is None else dist.low + grid * math.floor((init - dist.low) / grid)
    return Hyper(name, init, float(dist.low), float(dist.high), log=dist.log, step=step, discrete=discrete)


def _state(loss: float) -> TrialState:
    return TrialState.COMPLETE if math.isfinite(loss) else TrialState.FAIL


def _value(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _unusable(what: str) -> UserError:
    return UserError.spelled(
        lambda say: f"{what}; give {say('storage', ...)} sqlite:///FILE, journal:FILE or another URL that Optuna takes"
    )


def _raced(storage: str, attempt: Callable[[], T]) -> T:
    """What an attempt at a storage gives, made again while another process makes the same tables."""
    with reached(storage, (Exception,)):  # SQLAlchemy, drivers, the file system and Optuna raise two dozen kinds
        for wait in RACE_SECONDS if _there(storage) else ():
            try:
                return attempt()
            except (OperationalError, IntegrityError):
                time.sleep(wait)
        return attempt()


def _there(storage: str) -> bool:
    """Whether it is worth while to wait for it: not where an SQLite file has no folder."""
    file = storage.removeprefix("sqlite:///")
    return file == storage or Path(file).parent.is_dir()


def _whole_lines(journal: str) -> None:
    """Take away a last line that a killed process left unfinished: the next one would be glued to it."""
    if not Path(journal).is_file() or not Path(journal).read_bytes().startswith(b'{"op_code"'):
        return  # a new one, or a file of something else
    lock = JournalFileSymlinkLock(journal)
    lock.acquire()
    try:
        with open(journal, "r+b") as file:
            whole = file.read()
            if not whole.endswith(b"\n"):
                file.truncate(whole.rfind(b"\n") + 1)
    finally:
        lock.release()


def _storage(storage: str) -> Any:
    if storage.startswith("journal:"):
        _whole_lines(storage.removeprefix("journal:"))
        return JournalStorage(JournalFileBackend(storage.removeprefix("journal:")))
    if "://" not in storage:
        raise _unusable(f"the storage {masked(storage)!r} is no URL")
    if storage.startswith("sqlite:"):
        return optuna.storages.RDBStorage(storage, engine_kwargs={"connect_args": {"timeout": LOCKED_SECONDS}})
    return storage
