"""A plain model's dropouts along a course: the very rates of each step, by name, pattern and class."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hyperopt_hn import RunLog, UserError  # noqa: E402
from hyperopt_hn.course import Sinusoid  # noqa: E402
from hyperopt_hn.nn import TORCH, LockedDropout, apply_course  # noqa: E402


class DropPath(nn.Module):
    """As timm's: the rate is `drop_prob`."""

    def __init__(self):
        super().__init__()
        self.drop_prob = 0.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout0, self.dropout1, self.locked = nn.Dropout2d(0.3), nn.Dropout(0.4), LockedDropout(0.1)
        self.body = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0), DropPath())


def test_a_recorded_run_is_followed_step_by_step(tmp_path):
    """Each rate holds from the training step on at which it was recorded; other hyperparameters are left alone."""
    log = RunLog(tmp_path / "run", {"experiment": "cnn", "config": {}}, codec=TORCH)
    for step, trained, rate in ((0, 0, 0.2), (6, 4, 0.5), (9, 6, 0.7)):
        log.record({"step": step, "train_steps": trained, "hypers": {"dropout0": rate, "hue": 0.1}})
    log.close()
    net = Net()
    follower = apply_course(net, tmp_path / "run")
    seen = []
    for _ in range(8):
        seen.append(net.dropout0.p)
        follower.step()
    assert seen == [0.2] * 4 + [0.5] * 2 + [0.7] * 2
    assert net.dropout1.p == 0.4 and follower.rates() == {"dropout0": 0.7}


def test_patterns_reach_every_kind_of_dropout_and_the_first_one_decides(tmp_path):
    (tmp_path / "course.csv").write_text("step,rate,other\n0,0.25,0.5\n3,0.75,0.5\n")
    net = Net()
    follower = apply_course(net, tmp_path / "course.csv", {"dropout1": "other", "*": "rate"})
    assert follower.rates() == {"dropout0": 0.25, "dropout1": 0.5, "locked": 0.25, "body.1": 0.25, "body.2": 0.25}
    for _ in range(3):
        follower.step()
    assert net.body[2].drop_prob == 0.75 and net.dropout1.p == 0.5 and net.locked.p == 0.75


def test_torchvisions_stochastic_depth_follows():
    ops = pytest.importorskip("torchvision.ops")
    net = nn.Sequential(ops.StochasticDepth(0.9, "row"))
    follower = apply_course(net, Sinusoid({"depth": 0.5}, 0.1, 4.0), {"*": "depth"})
    follower.step()
    assert net[0].p == pytest.approx(0.6)  # a quarter of the period


def test_it_is_saved_and_loaded_as_a_scheduler():
    course = Sinusoid({"dropout0": 0.5}, 0.25, 12.0)
    first, second = Net(), Net()
    follower = apply_course(first, course)
    for _ in range(3):
        follower.step()
    other = apply_course(second, course)
    assert second.dropout0.p == 0.5
    other.load_state_dict(follower.state_dict())
    assert second.dropout0.p == first.dropout0.p == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("dropout", "message"),
    [
        ({"nowhere": "rate"}, "matches nothing; dropouts here: dropout0, dropout1"),
        ({"*": "rates"}, "has no 'rates'; it has rate"),
        (None, "no module bears a name of the course"),
    ],
)
def test_refusals(dropout, message):
    with pytest.raises(UserError, match=message):
        apply_course(Net(), Sinusoid({"rate": 0.5}, 0.1, 4.0), dropout)


def test_a_rate_above_one_is_refused(tmp_path):
    (tmp_path / "course.csv").write_text("step,dropout0\n0,1.5\n")
    with pytest.raises(UserError, match=r"dropout0 is 1\.5 at step 0"):
        apply_course(Net(), tmp_path / "course.csv")
