"""The non-monotone rule: fires as published, forgets, goes on from states of earlier versions."""

import pytest

torch = pytest.importorskip("torch")
from hyperopt_hn.errors import UserError  # noqa: E402
from hyperopt_hn.nn import NonMonotone  # noqa: E402
from tests.support.digits_mlp import fixed  # noqa: E402

OLD = {
    "window": 3, "decay_factor": 0.5, "losses": [3.0, 3.0, 3.0], "fired": 1, "factor": 0.5, "default_min_lr": 0,
    "min_lrs": [0], "patience": 10, "cooldown": 0, "eps": 1e-08, "last_epoch": 0, "_last_lr": [0.5],
    "mode_worse": float("inf"), "mode": "min", "threshold": 0.0001, "threshold_mode": "rel", "best": float("inf"),
    "cooldown_counter": 0, "num_bad_epochs": 0,
}  # fmt: skip
"""What version 0.1.0 wrote after the losses 1, 2, 2, 2, 2, 3, 3, 3 at a window of 3, as a subclass of torch's."""


def decays(losses, window, factor=0.5):
    phi = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    rule = NonMonotone(phi, window, factor)
    fired = []
    for at, loss in enumerate(losses):
        before = rule.fired
        phi.step()
        rule.step(loss)
        fired += [at] if rule.fired > before else []
    return fired, phi.param_groups[0]["lr"], rule


def test_the_rule_fires_as_published_and_then_forgets():
    """A plateau after a fall: the published test would fire at every evaluation from the first time on."""
    losses = [3.0, 2.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]
    fired, lr, _ = decays(losses, window=3)
    first = next(t for t in range(len(losses)) if len(losses[:t]) > 3 and losses[t] > min(losses[: t - 3]))
    assert fired == [first] and lr == 0.5
    fired, lr, rule = decays([1.0] + [2.0] * 4 + [3.0] * 4 + [4.0], window=3)
    assert fired == [4, 9] and lr == 0.25
    again = NonMonotone(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0), 3, 0.5)
    again.load_state_dict(rule.state_dict())
    assert (again.losses, again.fired) == (rule.losses, 2)


def test_falling_losses_never_decay():
    assert decays([1 / (t + 1) for t in range(50)], window=5)[0] == []


def test_a_state_of_an_earlier_version_goes_on():
    losses = [1.0] + [2.0] * 4 + [3.0] * 3
    _, rate, rule = decays(losses, window=3)
    assert rate == OLD["_last_lr"][0]
    phi = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], rate)
    again = NonMonotone(phi, 5, 0.25)
    again.load_state_dict(OLD)
    assert again.state_dict() == rule.state_dict()
    for loss in (3.0, 3.1):  # the second exceeds the smallest of those before it but for the last three
        again.step(loss)
    assert again.fired == 2 and phi.param_groups[0]["lr"] == 0.25 and decays([*losses, 3.0, 3.1], window=3)[1] == 0.25


def test_a_checkpoint_of_an_earlier_version_goes_on():
    tuner = fixed({})
    for _ in range(4):
        tuner.train_step()
        tuner.evaluate()
    state = tuner.state()
    (new,) = state["schedulers"]
    state["schedulers"] = [{**OLD, **new}]
    tuner.train_step()
    other = fixed({})
    for _ in range(2):
        other.train_step()
    other.load_state(state)
    other.train_step()
    assert [tuner.evaluate() for _ in range(4)] == [other.evaluate() for _ in range(4)]
    assert tuner.state()["schedulers"] == other.state()["schedulers"]


@pytest.mark.parametrize(("window", "factor"), [(0, 0.5), (3, 0.0), (3, 1.5)])
def test_nonsense_is_refused(window, factor):
    with pytest.raises(UserError, match="give at least 1 and"):
        NonMonotone(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0), window, factor)
