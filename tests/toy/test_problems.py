"""A problem's losses however they are computed."""

from __future__ import annotations

import numpy as np

from tests.support.toy_cases import decay_problem, draws, rows_and_targets
from toy import problems


def test_evaluation_in_pieces_and_along_a_span_changes_nothing(monkeypatch):
    for sizes in ((6, 4), (6, 5, 4)):
        problem = decay_problem([rows_and_targets(n, 6, 4) for n in (5, 90, 31)], sizes)
        coefficients, basis = draws(9, 2), draws(2, problem.weights)
        whole = problem.evaluate(coefficients @ basis, "test")
        for metric, value in problem.evaluate_span(coefficients, basis, "test").items():
            np.testing.assert_allclose(value, whole[metric], rtol=1e-12)
        with monkeypatch.context() as patch:
            patch.setattr(problems, "CHUNK", 64)
            np.testing.assert_allclose(problem.evaluate(coefficients @ basis, "test")["nll"], whole["nll"], rtol=1e-12)
