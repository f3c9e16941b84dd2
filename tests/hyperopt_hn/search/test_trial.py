"""A trial as plain data comes back: vectors, whole numbers, failures."""

import json
import math

import numpy as np

from hyperopt_hn.search.trial import Trial, plain_trial, trial_of


def test_a_trial_comes_back_through_json():
    values = {"rate": 0.1, "k": 3, "decay": np.array([1e-3, 2e-3])}
    for loss in (0.5, math.nan, math.inf):
        again = trial_of(json.loads(json.dumps(plain_trial(Trial(values, loss)))))
        assert again.values["rate"] == 0.1 and again.values["k"] == 3
        assert isinstance(again.values["decay"], np.ndarray) and again.values["decay"].tolist() == [1e-3, 2e-3]
        assert again.loss == 0.5 if loss == 0.5 else math.isnan(again.loss)
