"""On a GPU everything gives the CPU's numbers in float64: layers, their gradients, tune steps; `pytest -m gpu`."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from hyperopt_hn import Hyper, HyperSpace  # noqa: E402
from hyperopt_hn.nn import (  # noqa: E402
    SelfTuner,
    TorchTuner,
    Tuning,
    at,
    convert,
    general_parameters,
    response_parameters,
    squared_norm,
)
from hyperopt_hn.nn.responses import STN, Delta, Implicit, Split  # noqa: E402
from hyperopt_hn.nn.responses.base import Losses, frozen  # noqa: E402
from hyperopt_hn.nn.setup.batches import Batches  # noqa: E402
from hyperopt_hn.nn.setup.hypers import Hypers  # noqa: E402
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig  # noqa: E402
from tests.support.layer_cases import CASES, F64, B, Case, N, made, randomised  # noqa: E402

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
every = pytest.mark.parametrize("case", [c for c in CASES if "affineFalse" not in c.name], ids=lambda case: case.name)
SPACE = HyperSpace([Hyper("drop", 0.3, 0, 1), Hyper("decay", 1e-3, 1e-6, 1, log=True, shared=True)])
close = {"rtol": 1e-8, "atol": 1e-10}


def moved(x: Any) -> Any:
    """Tensors on the GPU, tuples of them too."""
    return tuple(map(moved, x)) if isinstance(x, tuple) else x.cuda() if isinstance(x, torch.Tensor) else x


@every
@pytest.mark.parametrize("rows", [True, False], ids=["per example", "one"])
def test_a_layer_and_its_gradients_are_those_of_the_cpu(case: Case, rows: bool) -> None:
    layer, inputs = made(case), case.inputs(B)
    lam = torch.randn(*((B, N) if rows else (N,)), **F64)
    case_there = Case(case.name, case.make, case.plain, case.inputs, case.axis, moved(case.options))
    found = []
    for net, x, where, one in (
        (layer, inputs, lam, case),
        (copy.deepcopy(layer).cuda(), moved(inputs), lam.cuda(), case_there),
    ):
        where = where.requires_grad_()
        with at(net, where):
            out = one.call(net, x)
        pull = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).reshape(out.shape)
        wanted = [where, *net.parameters()]
        found.append([out, *torch.autograd.grad((out * pull).sum(), wanted, allow_unused=True)])
    for here, there in zip(*found, strict=True):
        assert (here is None) == (there is None)
        if here is not None:
            torch.testing.assert_close(there.cpu(), here, **close)


class Words(nn.Module):
    """Embedding, a recurrent layer and a head, (B, T) -> (B, T, words)."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.table, self.rnn, self.head = nn.Embedding(9, 6), kind(6, 6, 2, batch_first=True), nn.Linear(6, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.table(x))[0])


NETS: dict[str, tuple[Any, Any, int]] = {
    "lstm": (lambda: Words(nn.LSTM), lambda: torch.randint(0, 9, (8, 7)), 9),
    "gru left plain": (lambda: Words(nn.GRU), lambda: torch.randint(0, 9, (8, 7)), 9),
    "conv": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)),
        lambda: torch.randn(8, 2, 5, 5, **F64),
        5,
    ),
    "encoder": (
        lambda: nn.Sequential(
            nn.Linear(5, 8), nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), nn.Linear(8, 5)
        ),
        lambda: torch.randn(8, 4, 5, **F64),
        5,
    ),
}
RESPONSES: dict[str, Any] = {
    "split": Split(),
    "split linear": Split(linear=True),
    "stn": STN(),
    "delta": Delta(),
    "implicit": Implicit(terms=3),
}


def cross_entropy(model: nn.Module, batch: Any) -> torch.Tensor:
    """The mean over all positions."""
    return F.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten())


def penalised(model: nn.Module, batch: Any, h: Any) -> torch.Tensor:
    """With the shared decay."""
    return cross_entropy(model, batch) + h["decay"] * squared_norm(model)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
def test_slopes_of_lambda_and_training_gradients_are_those_of_the_cpu(net: str, response: str, form: str) -> None:
    torch.manual_seed(0)
    if "gru" in net and response in ("delta", "split linear"):
        pytest.skip("torch's GRU has no forward mode on a GPU")
    make, inputs, classes = NETS[net]
    model = randomised(convert(make().double(), SPACE, form=form), 3) if response != "implicit" else make().double()
    x = inputs()
    t = torch.randint(0, classes, x.shape if x.dtype == torch.int64 else x.shape[: 1 if x.dim() == 4 else 2])
    draws = 0.3 * torch.randn(8, 2, **F64)
    found = []
    for device in ("cpu", "cuda"):
        here, batch = copy.deepcopy(model).to(device), (x.to(device), t.to(device))
        hypers = Hypers(SPACE, torch.device(device), torch.float64)
        source = Batches.of(batch, 8, shuffle=False)
        problem = TorchProblem(penalised, cross_entropy, source, source)
        losses, kind = Losses(here, here, hypers, problem), RESPONSES[response]
        lam = hypers.lam.detach().clone().requires_grad_()
        value, slope = kind.tune(losses, lam, False, [batch, batch])
        numbers = [value, slope]
        for phase in kind.phases:
            where = hypers.lam.detach() + (draws.to(device) if phase.perturbed else 0)
            trained = list(
                {"response": response_parameters, "general": general_parameters}.get(
                    phase.trains, nn.Module.parameters
                )(here)
            )
            still = [p for p in here.parameters() if id(p) not in set(map(id, trained))]
            with frozen(still), kind.view(losses, where, phase.perturbed):
                loss = losses.train_loss(batch, where)
            numbers += [loss, *torch.autograd.grad(loss, trained, allow_unused=True)]
        found.append(numbers)
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(other.cpu(), one, **close)


@pytest.mark.parametrize("form", ["full", "lowrank", "gated"])
@pytest.mark.parametrize("response", ["split", "stn", "delta"])
@pytest.mark.parametrize("net", ["lstm", "conv", "encoder"])
def test_a_self_tuner_fits_evaluates_and_collapses(net: str, response: str, form: str) -> None:
    torch.manual_seed(1)
    make, _, classes = NETS[net]
    inputs = {"lstm": torch.randint(0, 9, (64, 7)), "conv": torch.randn(64, 2, 5, 5), "encoder": torch.randn(64, 4, 5)}
    x = inputs[net]
    t = torch.randint(0, classes, (64, *x.shape[1 : 1 if net == "conv" else 2]))
    tuner = SelfTuner(
        make().cuda(), SPACE.hypers, train_loss=penalised, valid_loss=cross_entropy,
        tuning=Tuning(response=response, form=form),
    )  # fmt: skip
    result = tuner.fit((x, t), (x, t), epochs=3, batch_size=16, quiet=True)
    assert all(torch.isfinite(torch.as_tensor(result.best_loss)).flatten())
    plain = tuner.plain()
    assert next(plain.parameters()).is_cuda
    with torch.no_grad():
        assert bool(cross_entropy(plain.eval(), (x.cuda(), t.cuda())).isfinite())


def tuned(net: str, form: str, response: str, graphs: bool, batch_sizes: tuple[int, ...]) -> Any:
    """λ̂, losses and weights after some steps of either kind."""
    torch.manual_seed(2)
    make, _, classes = NETS[net]
    model = convert(make().double(), SPACE, form=form, gain="stn").cuda()
    hypers = Hypers(SPACE, torch.device("cuda"), torch.float64)
    inputs = {
        "lstm": torch.randint(0, 9, (64, 7)),
        "conv": torch.randn(64, 2, 5, 5, **F64),
        "encoder": torch.randn(64, 4, 5, **F64),
    }
    x = inputs[net].cuda()
    t = torch.randint(0, classes, (64, *x.shape[1 : 1 if net == "conv" else 2])).cuda()
    source = Batches.of((x, t), 16)
    general = general_parameters(model) if response == "split" else model.parameters()
    optimizers = Optimizers(torch.optim.SGD(general, 0.1, 0.9), torch.optim.Adam([hypers.lam], 0.01))
    problem = TorchProblem(penalised, cross_entropy, source, source)
    how = {"split": Split(every=2, eager=2), "stn": STN(), "delta": Delta()}[response]
    tuner = TorchTuner(model, hypers, problem, optimizers, how, TunerConfig(graphs=graphs, clip=0.5, report_every=1))
    found = []
    for size in batch_sizes:
        found.append(tuner.train_step((x[:size], t[:size]))["train_loss"])
        found.append(tuner.tune_step((x[-size:], t[-size:]))["tune_loss"])
    return torch.tensor(found), hypers.lam.detach(), *(p.detach() for p in model.parameters())


@pytest.mark.parametrize("net", ["lstm", "conv", "encoder"])
@pytest.mark.parametrize(("form", "response"), [
    ("lowrank", "split"), ("gated", "split"), ("full", "split"), ("full", "stn"), ("full", "delta"),
])  # fmt: skip
def test_recorded_steps_are_the_steps_themselves(net: str, form: str, response: str) -> None:
    sizes = (16, 16, 16, 16, 16, 9, 16, 16, 9, 16, 16, 9, 9, 9, 16, 16)
    for eager, recorded in zip(*(tuned(net, form, response, on, sizes) for on in (False, True)), strict=True):
        torch.testing.assert_close(recorded, eager, rtol=1e-7, atol=1e-9)


def test_recorded_steps_draw_new_masks() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 20), nn.Dropout(0.5), nn.Linear(20, 1)).cuda()
    hypers = Hypers(SPACE, torch.device("cuda"))
    model, x = convert(net, SPACE, dropout={"*": "drop"}), torch.randn(16, 20).cuda()
    source = Batches.of(x, 16)
    loss = lambda model, batch, h=None: model(batch).square().mean()  # noqa: E731
    optimizers = Optimizers(torch.optim.SGD(general_parameters(model), 0.0), torch.optim.Adam([hypers.lam], 0.01))
    config = TunerConfig(graphs=True, report_every=1)
    tuner = TorchTuner(model, hypers, TorchProblem(loss, loss, source, source), optimizers, "split", config)
    assert len({tuner.train_step()["train_loss"] for _ in range(10)}) == 10
