"""The tasks with many hyperparameters: each acts on the training loss, of the plain and of the tuned network."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import nn  # noqa: E402

from deep.study.many_hypers import MANY  # noqa: E402
from deep.study.plain_training import PlainTraining  # noqa: E402
from deep.study.runs import tuner_of  # noqa: E402
from deep.study.ways import WAYS  # noqa: E402
from hyperopt_hn.errors import UserError  # noqa: E402


def _data(task, seed):
    try:
        return task.data(seed)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("task", MANY, ids=lambda task: task.name)
def test_every_hyperparameter_acts(task):
    """With the same draws, another value of any one of them is another training loss of the plain network."""
    splits = _data(task, 1)
    start = {hyper.name: float(hyper.init) for hyper in task.hypers}
    assert set(start) == set(task.hand)
    batch = tuple(part[: task.batch] for part in splits[0])

    def loss(values):
        training = PlainTraining(task, splits, 3, values)
        torch.manual_seed(0)
        found = task.train_loss(training.network, batch, values)
        assert found.shape == (len(batch[0]),)
        return float(found.mean().detach())

    here = loss(start)
    assert loss(dict(start)) == here
    for hyper in task.hypers:
        assert loss({**start, hyper.name: 0.9 * float(hyper.high)}) != here, hyper.name


@pytest.mark.parametrize("task", MANY, ids=lambda task: task.name)
def test_every_rate_is_tuned_and_a_step_of_each_kind_moves_what_it_should(task):
    splits = _data(task, 1)
    dropped = [name for name, module in task.net().named_modules() if isinstance(module, nn.Dropout) and module.p]
    assert all(any(fnmatchcase(name, pattern) for pattern in task.rates) for name in dropped)
    tuner, hypers = tuner_of(task, splits, 3, WAYS["default"])
    left = [module for module in tuner.losses.bare.modules() if isinstance(module, nn.Dropout) and module.p]
    assert not left, "a rate that is not tuned"
    before = hypers.lam.detach().clone()
    for _ in range(2):
        tuner.train_step()
    assert torch.equal(hypers.lam, before)
    tuner.tune_step()
    assert (hypers.lam != before).all()


@pytest.mark.parametrize("task", MANY, ids=lambda task: task.name)
def test_splits_share_no_example(task):
    splits = _data(task, 2)
    rows = [{(*x.flatten().tolist(), int(y)) for x, y in zip(*part, strict=True)} for part in splits]
    if not task.name.startswith("text"):  # windows of different texts may be alike
        assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]
    assert all(int(part[1].min()) >= 0 for part in splits)
