"""Stochastic depth at each example's own rate: kept or dropped whole, its mean kept, plain again when collapsed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torchvision.ops import StochasticDepth  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace, UserError  # noqa: E402
from hyperopt_hn.nn import at, collapse, convert, report  # noqa: E402

SPACE = HyperSpace([Hyper("depth", 0.2, 0.0, 0.9), Hyper("rate", 0.1, 0.0, 0.9)])


class DropPath(nn.Module):
    """As those of timm and transformers."""

    def __init__(self, drop_prob: float = 0.1, scale_by_keep: bool = True) -> None:
        super().__init__()
        self.drop_prob, self.scale_by_keep = drop_prob, scale_by_keep

    def forward(self, x):
        raise AssertionError("the plain module is not called")


def made(drop, **given):
    net = nn.Sequential(nn.Linear(4, 4), drop, nn.Dropout(0.1))
    return convert(net, SPACE, dropout={"1": "depth"}, **given)


@pytest.mark.parametrize("drop", [StochasticDepth(0.1, "row"), DropPath(), DropPath(scale_by_keep=False)])
def test_rows_vanish_whole_at_their_own_rate(drop):
    torch.manual_seed(0)
    model = made(drop)
    rows, n = torch.tensor([0.1, 0.6]), 4000
    lam = torch.stack([(rows / 0.9).logit(), torch.zeros(2)], 1).repeat(n, 1)
    x = torch.ones(2 * n, 3, 5)
    with at(model, lam):
        y = model[1](x)
        assert model[1].p == pytest.approx(0.35, abs=1e-5)
    flat = y.flatten(1)
    assert bool(((flat == 0).all(1) | (flat > 0).all(1)).all())
    scaled = getattr(drop, "scale_by_keep", True)
    for i, rate in enumerate(rows.tolist()):
        kept = (flat[i::2, 0] > 0).float().mean().item()
        assert kept == pytest.approx(1 - rate, abs=0.03)
        assert flat[i::2, 0].max().item() == pytest.approx(1 / (1 - rate) if scaled else 1.0, rel=1e-5)
    with at(model.eval(), lam):
        assert torch.equal(model[1](x), x)


def test_a_batch_is_dropped_as_one_in_batch_mode():
    torch.manual_seed(0)
    model = made(StochasticDepth(0.5, "batch"))
    seen = set()
    with at(model, torch.zeros(2)):
        for _ in range(40):
            seen.add(float(model[1](torch.ones(3, 2)).sum()))
    assert len(seen) == 2 and 0.0 in seen


def test_collapse_gives_the_plain_module_with_the_rate():
    for drop, name in ((StochasticDepth(0.1, "row"), "p"), (DropPath(), "drop_prob")):
        twin = collapse(made(drop), torch.zeros(2))
        assert type(twin[1]) is type(drop) and getattr(twin[1], name) == pytest.approx(0.45)
        assert getattr(drop, name) == 0.1


def test_all_means_dropouts_and_depth_is_named():
    net = nn.Sequential(nn.Linear(4, 4), DropPath(), nn.Dropout(0.1))
    model = convert(net, SPACE, dropout={"*": "rate"})
    assert type(model[1]) is DropPath and "no hyperparameter was named" in report(model).left["1"]
    with pytest.raises(UserError, match="matches nothing; dropout modules here: 1"):
        convert(nn.Sequential(nn.Linear(4, 4), DropPath()), SPACE, dropout={"*": "rate"})
