"""Optuna tunes a fixed CNN through deep's objective: python -m tests.examples.optuna_objective."""

import sys

import optuna

from deep import objective


def main(trials: int = 20, preset: str = "quick", data: str = "auto") -> optuna.Study:
    """A study whose trials each train one network."""
    score = objective("cnn", preset=preset, seed=7, data=data)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=7))
    study.optimize(lambda trial: score({"dropout0": trial.suggest_float("dropout0", 0.0, 0.9)}), n_trials=trials)
    print(study.best_params, study.best_value)
    return study


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
