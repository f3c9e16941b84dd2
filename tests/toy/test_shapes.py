"""Shape mistakes of own problems come at construction and name n and P."""

from types import SimpleNamespace

import autograd.numpy as np
import pytest

from hyperopt_hn import Hyper, HyperSpace, UserError
from toy.responses import LinearResponse
from toy.tuner import HyperTuner, HyperTunerConfig

X, T = np.ones((12, 8)), np.ones(12)


def error(w):
    return np.mean((np.dot(w, X.T) - T) ** 2, axis=1)


def problem(**changes):
    """Ridge regression in 8 weights under one hyperparameter, with something wrong in it."""
    right = {
        "space": HyperSpace([Hyper("decay", 0.01, low=0.0, log=True)]),
        "rows": lambda split: 12,
        "train_loss": lambda w, lam, batch: error(w) + np.exp(lam[:, 0]) * np.sum(w**2, axis=1),
        "valid_loss": lambda w, batch: error(w),
        "evaluate": lambda w, split: {"nll": error(w)},
    }
    return SimpleNamespace(**{**right, **changes})


def test_what_fits_is_taken():
    tuner = HyperTuner(problem(), LinearResponse(1, 8), HyperTunerConfig())
    assert np.isfinite(tuner.train_step()["train_loss"])


@pytest.mark.parametrize(
    ("response", "changes", "message"),
    [
        (LinearResponse(1, 9), {}, r"train_loss on w of shape \(2, 9\) \(P = 9 weights.*lam of shape \(2, 1\) fails"),
        (LinearResponse(2, 8), {}, r"space has n = 1 hyperparameters; the response fails on lam of shape \(2, 1\)"),
        (LinearResponse(1, 8), {"train_loss": lambda w, lam, batch: np.sum(w)}, "train_loss .* gives a single number"),
        (LinearResponse(1, 8), {"train_loss": lambda w, lam, batch: w**2}, r"gives shape \(2, 8\), not \(2,\)"),
        (LinearResponse(1, 8), {"valid_loss": lambda w, batch: np.mean((X @ w - T) ** 2)}, "valid_loss .* fails"),
        (LinearResponse(1, 8), {"evaluate": lambda w, split: error(w)}, "gives no 'nll'"),
        (LinearResponse(1, 8), {"evaluate": lambda w, split: {"nll": 1.0}}, "metric 'nll' .* a single number"),
        (lambda phi, lam: lam[0], {}, r"gives shape \(1,\) for lam of shape \(2, 1\); make it give \(2, P\)"),
    ],
)  # fmt: skip
def test_a_misfit_is_found_at_construction(response, changes, message):
    if not isinstance(response, LinearResponse):
        response = type(
            "Wrong", (), {"init": lambda self, rng: [np.zeros(1)], "__call__": lambda self, p, lam: lam[0]}
        )()
    with pytest.raises(UserError, match=message):
        HyperTuner(problem(**changes), response, HyperTunerConfig())
