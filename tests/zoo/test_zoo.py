"""The zoo's own checks find what is wrong, and the documented table is that of the record."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tests.support.paths import ROOT  # noqa: E402
from tests.zoo import summary  # noqa: E402
from tests.zoo.trial import ROWS, tried  # noqa: E402

RECORD = ROOT / "figures" / "recorded" / "zoo.jsonl"


def test_a_plain_network_is_right_and_one_that_cannot_be_called_is_not():
    good = tried("good", lambda: (nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), {"input": _x()}))
    assert good.right and good.share == 1.0 and good.steps == {"split": "right", "stn": "right", "delta": "right"}
    bad = tried("bad", lambda: (nn.Linear(5, 2), {"input": _x()}))
    assert bad.crashed and not bad.right


def test_what_reads_its_weights_in_its_own_way_is_seen():
    class Once(nn.Linear):
        """Its first call decides; later ones take the weights that they like."""

        def forward(self, input):
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(input) * (1.0 + 0.1 * self.calls)

    found = tried("once", lambda: (Once(4, 2), {"input": _x()}))
    assert found.wrong, "a model whose outputs change from call to call equals no collapsed one"


def test_rounding_is_told_from_a_fault():
    class Far(nn.Linear):
        """Far from zero a unit of the last place is much of what λ moves, and among many outputs some round apart."""

        def forward(self, input):
            return super().forward(input) + 2e4

    found = tried("far", lambda: (Far(4, 60_000), {"input": _x()}))
    assert found.right and "rows" in found.rounding


def test_the_page_has_the_records_table():
    assert summary.table(summary.read(RECORD)) in (ROOT / "docs" / "zoo.md").read_text()


def _x():
    torch.manual_seed(0)
    return torch.randn(ROWS, 4)
