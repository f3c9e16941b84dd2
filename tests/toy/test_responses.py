"""Responses: the published sizes and draws."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference import toy_loops
from toy.responses import LinearResponse, MLPResponse


def parameters(response):
    return sum(p.size for p in response.init(np.random.RandomState(0)))


@pytest.mark.parametrize(
    ("response", "size"),
    [(MLPResponse(1, 7850), 400_450), (LinearResponse(1, 7850), 15_700), (LinearResponse(10, 7850), 86_350)],
)
def test_published_hypernetwork_sizes(response, size):
    assert parameters(response) == size


def test_responses_draw_in_the_published_order():
    slow = toy_loops.draw_layers((1, 5, 8), 0.01, np.random.RandomState(7))
    for mine, theirs in zip(MLPResponse(1, 8, 5).init(np.random.RandomState(7)), sum(slow, ()), strict=True):
        np.testing.assert_array_equal(mine, theirs)
