"""Gaussian processes on known losses; the linear hypernetwork is in test_surrogates, against slow loops."""

from __future__ import annotations

import warnings

import numpy as np

from tests.toy.baselines.test_surrogates import known_truth
from toy.baselines.predictors import gaussian_process, gp_predict
from toy.baselines.surrogates import GPS, metrics


def test_gaussian_processes_fit_quietly_and_the_fair_one_knows_units() -> None:
    lam, true = known_truth(60)
    errors = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in GPS:
            for loss in (np.ones(60), 200.0 * true):  # nothing to fit, and far from mean 0 and amplitude 1
                predicted, complaints = gp_predict(gaussian_process(kind, 3, 0), lam[:25], loss[:25], lam[25:])
                assert np.isfinite(predicted).all() and complaints >= 0
            errors[kind] = metrics(predicted, loss[25:])["rmse"]
    assert errors["gp_fair"] < 0.8 * errors["gp"]
