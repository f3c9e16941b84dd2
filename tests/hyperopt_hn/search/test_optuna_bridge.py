"""Optuna's side: the same proposals from Optuna 4 and 5, distributions both ways."""

import pytest

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.search.proposals import Search
from hyperopt_hn.search.trial import Trial

SPACE = HyperSpace(
    [Hyper("rate", 0.3, 0.0, 1.0), Hyper("decay", 1e-3, 1e-5, 0.1, log=True), Hyper("k", 2, 0, 9, discrete=True)]
)


def trial(i):
    rate, place = 0.07 * i % 1, i * 7 % 15
    return Trial(
        {"rate": rate, "decay": 10 ** (-1.2 - 0.25 * place), "k": i * 3 % 10}, (rate - 0.4) ** 2 + 0.01 * place
    )


def test_tpe_proposes_alike_whatever_optunas_defaults_are():
    """Printed by Optuna 4.9.0 and by 5.0.0, equal to the last digit; the second and third know of the running ones."""
    wanted = [
        {"rate": 0.42988187666316047, "decay": 0.0028061411466507487, "k": 5.0},
        {"rate": 0.35595832003237865, "decay": 0.00649702762025362, "k": 1.0},
        {"rate": 0.5266444007723062, "decay": 0.0008513335506896125, "k": 4.0},
    ]
    found = Search(SPACE, "tpe", 5).ask([trial(i) for i in range(14)], 3)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)


def test_a_space_goes_to_optuna_and_back():
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study()
    study.optimize(lambda asked: sum(SPACE.to_optuna(asked).values()), n_trials=1)
    again = HyperSpace.from_optuna(study.trials[0].distributions, {"rate": 0.3, "decay": 1e-3, "k": 2})
    assert again.hypers == SPACE.hypers
