"""The callable objective: the numbers of the runs that the command line makes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from deep import objective
from hyperopt_hn import UserError

VALUES = {"cnn": {"dropout0": 0.2, "hue": 0.1}, "lstm": {"dropouto": 0.3, "alpha": 0.5}}


@pytest.mark.parametrize("experiment", VALUES)
def test_an_objective_is_the_fixed_run_of_the_command_line(experiment, recorded, data):
    """The same best validation loss, bit for bit, as `--tune none --init NAME=VALUE,...` records."""
    given = ",".join(f"{name}={value}" for name, value in VALUES[experiment].items())
    run = recorded(experiment, "--tune", "none", "--init", given)
    score = objective(experiment, preset="smoke", seed=7, data=data[experiment], settings={"device": "cpu"})
    wanted = min(record["valid_loss"] for record in run.records[1:])
    assert score(VALUES[experiment]) == wanted
    assert score({**VALUES[experiment], "wdrop" if experiment == "lstm" else "sat": 0.0}) == wanted, "0 is off"
    assert set(VALUES[experiment]) < set(score.space.names)
    assert all(np.isfinite(score.space[name].top) for name in score.space.names)


def test_a_diverging_training_scores_what_it_had_reached(data):
    score = objective("cnn", preset="smoke", data=data["cnn"], settings={"lr": 1e30, "clip": 0.0})
    assert np.isnan(score({}))


def test_what_does_not_exist_is_refused(data):
    score = objective("cnn", preset="smoke", data=data["cnn"])
    with pytest.raises(UserError, match="no hyperparameter 'dropuot0'; did you mean 'dropout0'"):
        score({"dropuot0": 0.1})
    with pytest.raises(UserError, match="dropout0"):
        score({"dropout0": 1.5})
    with pytest.raises(UserError, match="no objective 'rnn'"):
        objective("rnn")
    with pytest.raises(UserError, match="no preset 'quik'; did you mean 'quick'"):
        objective("cnn", preset="quik")
    with pytest.raises(UserError, match="no setting 'epoch'; did you mean 'epochs'"):
        objective("cnn", preset="smoke", data=data["cnn"], settings={"epoch": 3})


def test_optuna_takes_the_objective(data):
    pytest.importorskip("optuna")
    from tests.examples.optuna_objective import main as example

    study = example(3, "smoke", data["cnn"])
    assert len(study.trials) == 3 and study.best_value == min(trial.value for trial in study.trials)
