"""Schedulers are stepped when they should be, with a loss those that look at one."""

import pytest

torch = pytest.importorskip("torch")
from torch.optim import lr_scheduler  # noqa: E402

from hyperopt_hn.errors import UserError  # noqa: E402
from hyperopt_hn.nn import NonMonotone, Schedulers  # noqa: E402
from hyperopt_hn.nn.setup.schedulers import is_by_loss  # noqa: E402


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)


def rate(phi):
    return phi.param_groups[0]["lr"]


def test_each_is_stepped_at_its_own_time():
    phis = [optimizer() for _ in range(5)]
    each = Schedulers(
        train=[lr_scheduler.StepLR(phis[0], 1, 0.5)],
        tune=[lr_scheduler.StepLR(phis[1], 1, 0.5)],
        evaluation=[
            lr_scheduler.StepLR(phis[2], 1, 0.5),
            lr_scheduler.ReduceLROnPlateau(phis[3], factor=0.5, patience=0),
            NonMonotone(phis[4], 1, 0.5),
        ],
    )
    for phi in phis:
        phi.step()
    each.trained()
    assert [rate(phi) for phi in phis] == [0.5, 1.0, 1.0, 1.0, 1.0]
    each.tuned()
    assert [rate(phi) for phi in phis] == [0.5, 0.5, 1.0, 1.0, 1.0]
    each.evaluated(1.0)
    each.evaluated(2.0)  # worse than before: a plateau; the non-monotone rule waits for more than one loss
    assert [rate(phi) for phi in phis] == [0.5, 0.5, 0.25, 0.5, 1.0]
    each.evaluated(3.0)
    assert [rate(phi) for phi in phis] == [0.5, 0.5, 0.125, 0.25, 0.5]


def test_whoever_says_so_is_stepped_by_a_loss():
    class Mine:
        by_loss = True

        def __init__(self):
            self.seen = []

        def step(self, metrics):
            self.seen.append(metrics)

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state_dict):
            self.seen = state_dict["seen"]

    mine = Mine()
    Schedulers(evaluation=[mine]).evaluated(0.5)
    assert mine.seen == [0.5]
    assert is_by_loss(mine) and not is_by_loss(lr_scheduler.StepLR(optimizer(), 1))


@pytest.mark.parametrize("place", ["train", "tune"])
@pytest.mark.parametrize("make", [NonMonotone, lr_scheduler.ReduceLROnPlateau])
def test_one_that_is_stepped_by_a_loss_is_refused_where_there_is_none(place, make):
    with pytest.raises(UserError, match=rf"{make.__name__} under {place}= is never given a loss; .*evaluation="):
        Schedulers(**{place: [make(optimizer())]})
