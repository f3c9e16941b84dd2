"""The report counts each parameter once, groups what is left by reason and class, and a model that hardly responds
warns."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import FewRespondWarning, convert, report  # noqa: E402
from hyperopt_hn.nn.conversion.reports import counted, percent  # noqa: E402

SPACE = HyperSpace([Hyper("rate", 0.1, 0.0, 0.9)])


class Odd(nn.Linear):
    """A subclass that uses a name which a module that responds needs, so that it is left."""

    norms = None


class Net(nn.Module):
    """Tied weights, a bare parameter, subclasses, dropout."""

    def __init__(self, odd: int = 4) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.table.weight
        self.token = nn.Parameter(torch.zeros(1, 8))
        self.body = nn.ModuleList([nn.Linear(8, 8), nn.LayerNorm(8), nn.Dropout(0.1)])
        self.odd = nn.ModuleList([Odd(8, odd) for _ in range(5)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B,) -> (B, 50)."""
        h = self.table(x) + self.token
        for layer in self.body:
            h = layer(h)
        return self.head(h) + sum(layer(h).sum() for layer in self.odd)


def test_parameters_are_counted_once_and_groups_have_their_shares():
    found = report(convert(Net(), SPACE, dropout={"*": "rate"}))
    answering, left = 50 * 8 + 8 * 8 + 8 + 2 * 8 + 8, 5 * (8 * 4 + 4)
    assert found.responding == (answering, answering + left) and found.share == answering / (answering + left)
    assert sum(p.numel() for p in Net().parameters()) == answering + left
    share = 100 * answering / (answering + left)
    lines = str(found).splitlines()
    assert lines[0] == f"responding: {share:.1f} % of {answering + left} parameters in 5 layers; dropout tuned in 1"
    odd = 100 * 180 / (answering + left)
    assert lines[2] == (
        f"  {odd:.1f} % in 5 Odd (odd.0, odd.1, odd.2 and 2 more): a subclass of Linear, whose own code would be lost"
    )
    assert len(lines) == 3 and "  (the model): Net, by parameter" in found.details
    assert found.details.count("\n") == 1 + 6 + 5, "every module is named"
    assert "  odd.4: a subclass of Linear" in found.details


def test_a_model_that_hardly_responds_warns_once_naming_the_largest_part_that_does_not():
    with pytest.warns(FewRespondWarning) as caught:
        convert(Net(odd=400), SPACE, dropout={"*": "rate"})
    (warning,) = caught
    line = str(warning.message)
    assert "odd.0: a subclass of Linear" in line and "\n" not in line
    assert warning.filename == __file__
    every = sum(p.numel() for p in Net(odd=400).parameters())
    assert line.startswith(f"only {100 * 496 / every:.1f} % of the parameters respond; the most of the rest, 19.")


def test_who_chooses_the_layers_is_not_warned():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(Net(odd=400), SPACE, include=["body.*"], dropout={"*": "rate"})


@pytest.mark.parametrize(
    ("number", "words"), [(912, "912"), (3400, "3.4 k"), (22_100_000, "22.1 M"), (7_000_000_000, "7 G")]
)
def test_numbers_are_short(number, words):
    assert counted(number) == words


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "0 %"), (1.0, "100 %"), (0.99999, "99.9 %"), (1e-6, "0.1 %"), (0.5, "50.0 %")]
)
def test_what_is_not_all_is_not_shown_as_all(share, words):
    assert percent(share) == words
