"""Converted networks against plain ones and the obvious two passes: train, tune, evaluate; Δ-STN against STN.

What is compared:
- train step: forward and backward with a λ per example and all gradients; the arithmetic floor is 2 plain ones.
- tune step: one λ for all and no parameter gradients, against the obvious two passes that compute and discard them.
- evaluation: one λ for all, no gradients; its weights are merged once for all batches of a block, here for one.
- Δ-STN's train step (general weights at the mean, response weights on a first-order pass) against STN's.
- each against its floor: as many FLOPs as it counts, done by 512 x 512 x 512 GEMMs beside it.
Batch 128 (images 32 x 32, 11 hyperparameters); LSTM 650 x 2, batch 40, 70 steps, 7 hyperparameters. The kept
megabytes are what autograd holds between forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from hyperopt_hn import Hyper, HyperSpace
from hyperopt_hn.nn import (
    HyperConv2d,
    HyperLinear,
    HyperLSTM,
    at,
    bind,
    convert,
    general_parameters,
    response_parameters,
)
from hyperopt_hn.nn.responses.base import frozen
from hyperopt_hn.nn.responses.delta import linearised
from tests.bench.harness import Row, compare
from tests.reference import nn_two_pass

BATCH, CLASSES, STEPS, HIDDEN, ROWS = 128, 10, 70, 650, 40
Net = Callable[[], Tensor]


def rows() -> list[Row]:
    """Every comparison."""
    torch.manual_seed(0)
    found = []
    for name, make, repeats, tune_bar in (("SmallCNN", _small, 15, 1.8), ("AlexNet", _alexnet, 5, 1.2)):
        found += _network(name, make, repeats, tune_bar)
    for dtype, name, bars in ((torch.float32, "float32", (1.7, 3.0, 1.5)), (torch.bfloat16, "bf16", (3.0, 3.0, 1.5))):
        found += _lstm(dtype, name, bars)
    return found


def _network(name: str, make: Callable[[], nn.Module], repeats: int, tune_bar: float) -> list[Row]:
    space = _space(11)
    plain, model = make(), convert(make(), space, gain="stn")
    x, t = torch.randn(BATCH, 3, 32, 32), torch.randint(0, CLASSES, (BATCH,))
    centre = 0.3 * torch.randn(space.n)
    lam = centre + 0.5 * torch.randn(BATCH, space.n)

    def loss(y: Tensor) -> Tensor:
        return F.cross_entropy(y, t)

    def train(net: nn.Module, forward: Net) -> Any:
        net.zero_grad()
        total = loss(forward())
        total.backward()
        return float(total.detach())

    def here() -> Tensor:
        with at(model, lam):
            out: Tensor = model(x)
            return out

    def delta() -> Any:
        model.zero_grad()
        with frozen(list(response_parameters(model))), at(model, centre, centre):
            loss(model(x)).backward()
        with frozen(list(general_parameters(model))), linearised(model, lam, centre):
            total = loss(model(x))
        total.backward()
        return float(total.detach())

    def tune(forward: Callable[[Tensor], Tensor]) -> Any:
        one = centre.clone().requires_grad_()
        loss(forward(one)).backward()
        return _numbers(one.grad)

    def merged(one: Tensor) -> Tensor:
        with frozen(list(model.parameters())), at(model, one):
            out: Tensor = model(x)
            return out

    def evaluate() -> Any:
        with torch.no_grad(), at(model, centre):
            return _numbers(model(x))

    def two_passes(one: Tensor) -> Tensor:
        return _two_passes(model, x, one.expand(BATCH, -1))

    def evaluate_twice() -> Any:
        with torch.no_grad():
            return _numbers(two_passes(centre))

    kept = f"{_kept(here):.0f} MB kept, plain {_kept(lambda: plain(x)):.0f}"
    stn = lambda: train(model, here)  # noqa: E731
    return [
        _unlike(
            f"{name} train step, reference plain ({kept})",
            stn,
            lambda: train(plain, lambda: plain(x)),
            repeats,
            1 / 2.1,
        ),
        _floor(f"{name} train step", stn, torch.float32, repeats),
        compare(f"{name} train step", stn, lambda: train(model, lambda: _two_passes(model, x, lam)), repeats),
        compare(f"{name} tune step", lambda: tune(merged), lambda: tune(two_passes), repeats, tune_bar),
        _floor(f"{name} tune step", lambda: tune(merged), torch.float32, repeats),
        compare(f"{name} evaluation", evaluate, evaluate_twice, repeats),
        _unlike(f"{name} Δ-STN train step, reference STN's", delta, stn, repeats, 1 / 2.5),
    ]


def _lstm(dtype: torch.dtype, name: str, bars: tuple[float, float, float]) -> list[Row]:
    space = _space(7)
    model: Any = HyperLSTM(HIDDEN, HIDDEN, space.n, 2, gain="stn", dtype=dtype)
    bind(model, space)
    x = torch.randn(STEPS, ROWS, HIDDEN, dtype=dtype)
    centre = 0.3 * torch.randn(space.n)
    lam = centre + 0.5 * torch.randn(ROWS, space.n)

    def fast(here: Tensor) -> Tensor:
        with at(model, here):
            out: Tensor = model(x)[0]
            return out

    def slow(here: Tensor) -> Tensor:
        out, here = x, here.to(dtype)
        for depth in range(2):
            out, _ = nn_two_pass.lstm_steps(model, out, here, depth)
        return out

    def train(forward: Callable[[Tensor], Tensor]) -> Any:
        model.zero_grad()
        out = forward(lam)
        out.float().square().mean().backward()
        return _numbers(out)

    def tune(forward: Callable[[Tensor], Tensor], keep: bool) -> Any:
        one = centre.clone().requires_grad_()
        with frozen([] if keep else list(model.parameters())):
            out = forward(one.expand(ROWS, -1) if keep else one)
            out.float().square().mean().backward()
        return _numbers(one.grad)

    def evaluate(forward: Callable[[Tensor], Tensor], here: Tensor) -> Any:
        with torch.no_grad():
            return _numbers(forward(here))

    kept = f"{_kept(lambda: fast(lam)):.0f} MB kept, loop {_kept(lambda: slow(lam)):.0f}"
    title = f"LSTM 650x2 {name}"
    return [
        compare(f"{title} train step ({kept})", lambda: train(fast), lambda: train(slow), 3, bars[0]),
        _floor(f"{title} train step", lambda: train(fast), dtype, 3),
        compare(f"{title} tune step", lambda: tune(fast, False), lambda: tune(slow, True), 3, bars[1]),
        _floor(f"{title} tune step", lambda: tune(fast, False), dtype, 3, 11 * 2 * STEPS * ROWS * 4 * HIDDEN**2),
        compare(
            f"{title} evaluation",
            lambda: evaluate(fast, centre),
            lambda: evaluate(slow, centre.expand(ROWS, -1)),
            3,
            bars[2],
        ),
    ]


def _two_passes(model: Any, x: Tensor, lam: Tensor) -> Tensor:
    for layer in model:
        if isinstance(layer, HyperConv2d):
            x = nn_two_pass.conv2d(layer, x, lam)
        elif isinstance(layer, HyperLinear):
            x = nn_two_pass.linear(layer, x, lam)
        else:
            x = layer(x)
    return x


def _small() -> nn.Module:
    layers: list[nn.Module] = []
    for fan_in, fan_out in ((3, 10), (10, 20), (20, 40)):
        layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(640, CLASSES))


def _alexnet() -> nn.Module:
    layers: list[nn.Module] = []
    shapes = ((3, 64, 2, True), (64, 192, 1, True), (192, 384, 1, False), (384, 256, 1, False), (256, 256, 1, True))
    for fan_in, fan_out, stride, pool in shapes:
        layers += [nn.Conv2d(fan_in, fan_out, 3, stride, 1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pool else []
    tail = [nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, CLASSES)]
    return nn.Sequential(*layers, nn.Flatten(), *tail)


def _space(n: int) -> HyperSpace:
    return HyperSpace([Hyper(f"h{i}", 0.5, 0, 1) for i in range(n)])


def _floor(name: str, run: Any, dtype: torch.dtype, repeats: int, flops: int = 0) -> Row:
    """The run against its FLOPs alone: the inverse of the ratio is its multiple of the floor.

    `flops` where torch does not count them: its own LSTM, four products forward and to each side but the first input.
    """
    if not flops:
        with FlopCounterMode(display=False) as counter:
            run()
        flops = counter.get_total_flops()
    a, b = torch.randn(2, 512, 512).to(dtype)
    count = max(1, round(flops / (2 * 512**3)))

    def products() -> None:
        for _ in range(count):
            a @ b

    return _unlike(f"{name}, reference its floor of {flops / 1e9:.1f} GFLOP", run, products, repeats)


def _unlike(name: str, fast: Any, reference: Any, repeats: int, bar: float | None = None) -> Row:
    """A comparison of two computations whose numbers need not agree."""

    def one(run: Any) -> Any:
        def timed() -> Any:
            run()
            return 1.0

        return timed

    return compare(name, one(fast), one(reference), repeats, bar)


def _numbers(x: Tensor | None) -> Any:
    assert x is not None
    return np.asarray(x.detach().double())


def _kept(forward: Net) -> float:
    """Megabytes of storage that autograd keeps for the backward pass, parameters not counted twice."""
    sizes: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = forward()
    del out
    return sum(sizes.values()) / 2**20
