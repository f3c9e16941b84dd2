"""Optuna's samplers, seeded trial by trial, and what they would try next."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from hyperopt_hn.search.optuna_bridge.studies import state_of, value_of
from hyperopt_hn.search.optuna_bridge.translation import Space, distributions, flat_values, suggest
from hyperopt_hn.search.trial import Trial

Known = Callable[[int], Mapping[str, Any] | None]


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
                state=state_of(trial.loss),
                params=flat_values(space, trial.values),
                distributions=distributions(space),
                value=value_of(trial.loss),
            )
        )
    return [suggest(space, study.ask()) for _ in range(count)]
