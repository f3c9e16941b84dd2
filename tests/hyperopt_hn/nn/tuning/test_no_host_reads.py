"""No step reads a tensor on the host, for which a GPU would have to be waited for: shown without one.

Fake tensors have shapes and devices but no numbers; whatever asks for a number (`.item()`, `bool(tensor)`, a mask as an
index) raises. `convert`, the losses, the steps and the augmentation run on them whole.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from deep.augment.pipeline import CIFAR_NORMAL, NAMES, apply, draw  # noqa: E402
from deep.cnn.networks import AlexNet  # noqa: E402
from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    Batches,
    Hypers,
    Optimizers,
    TorchProblem,
    TorchTuner,
    TunerConfig,
    convert,
)

SILENT = 10**9
ROWS, BATCH = 24, 8


class Words(nn.Module):
    """Embedding, LSTM, normalisation and a linear layer over time."""

    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(11, 6), nn.LSTM(6, 5, batch_first=True)
        self.norm, self.drop, self.fc = nn.LayerNorm(5), nn.Dropout(0.1), nn.Linear(5, 11)

    def forward(self, x):
        return self.fc(self.drop(self.norm(self.rnn(self.embedding(x))[0]))).transpose(1, 2)


def tuner(net, dropout, tensors, loss, response):
    space = HyperSpace([Hyper(name, 0.1, 0, 0.9, shared=name == "connect") for name in dict.fromkeys(dropout.values())])
    model, hypers = convert(net, space, dropout=dropout), Hypers(space)
    problem = TorchProblem(
        loss,
        lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        Batches.of(tensors, BATCH),
        Batches.of(tensors, BATCH),
    )
    phi = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    lam, rho = torch.optim.Adam([hypers.lam], 0.01), torch.optim.RMSprop([hypers.rho], 0.01)
    config = TunerConfig(report_every=SILENT, tau=1e-3, clip=0.25, clip_lam=1.0)
    made = TorchTuner(model, hypers, problem, Optimizers(phi, lam, rho), response, config)
    made.steps = {"train": 1, "tune": 1}  # the first steps look at the loss and at λ's gradient
    return made


def images():
    return torch.empty(ROWS, 3, 32, 32), torch.empty(ROWS, dtype=torch.int64)


def words():
    return torch.empty(ROWS, 7, dtype=torch.int64), torch.empty(ROWS, 7, dtype=torch.int64)


def plain_loss(model, batch, h):
    return cross_entropy(model(batch[0]), batch[1])


CASES = [
    (AlexNet, {f"dropout{i}": f"dropout{i}" for i in range(5)} | {"fcdropout?": "fc"}, images),
    (Words, {"drop": "drop", "embedding": "word", "rnn.weight_hh": "connect"}, words),
]


@pytest.mark.parametrize("response", ["stn", "delta"])
@pytest.mark.parametrize(("kind", "dropout", "data"), CASES)
def test_a_step_reads_nothing(kind, dropout, data, response):
    shared = {name: "connect" if name == "embedding" else hyper for name, hyper in dropout.items()}
    with FakeTensorMode():
        made = tuner(kind(), shared, data(), plain_loss, response)
        assert made.train_step() == made.tune_step() == {}


def test_a_loss_that_reads_is_caught():
    def reading(model, batch, h):
        loss = plain_loss(model, batch, h)
        return loss * (1.0 + 0.0 * loss.item())

    with FakeTensorMode():
        made = tuner(AlexNet(), CASES[0][1], images(), reading, "stn")
        with pytest.raises(DataDependentOutputException):
            made.train_step()


def test_augmentation_reads_nothing():
    with FakeTensorMode():
        pictures = torch.empty(BATCH, 3, 32, 32)
        strengths = {name: torch.empty(BATCH) for name in NAMES}
        draws = draw(pictures, strengths, torch.Generator())
        assert apply(pictures, draws, CIFAR_NORMAL).shape == pictures.shape
