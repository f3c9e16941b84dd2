"""The comparisons of deep_lstm, which need torch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from deep.lstm.experiment import LSTMConfig, build_tuner, space_of_config
from deep.lstm.presets import PRESETS
from deep.lstm.streams import Window
from hyperopt_hn.data.text import Text
from hyperopt_hn.nn.setup.hypers import Noise
from tests.bench.harness import Row, compare
from tests.reference.deep_lstm_loop import Loop, State

WINDOWS = 4


def rows() -> list[Row]:
    """Float32, then bf16."""
    torch.set_num_threads(1)
    return [
        row
        for amp, bars in (("", (1.7, 3.0, 1.5)), ("bf16", (3.0, 6.0, None)))
        for row in sides(PRESETS["lstm"]["paper"], amp, bars)  # type: ignore[arg-type]
    ]


def sides(
    config: LSTMConfig, amp: str, bars: tuple[float | None, float | None, float | None], count: int = 10_000
) -> list[Row]:
    """Train, tune and evaluation step of one precision."""
    config = replace(config, machine=replace(config.machine, device="cpu", amp=amp))
    tuner = build_tuner(config, text(config, count), space_of_config(config))
    bench = tuner.losses
    model, hypers = copy.deepcopy(bench.bare), copy.deepcopy(bench.hypers)
    loop = Loop(model, hypers, config.descent.lr, config.descent.clip, config.method.lr_lam)
    noise = Noise(hypers.space.n, config.seed)
    sources = copy.deepcopy((tuner.problem.train, tuner.problem.valid))
    scored = [(w.tokens, w.targets) for w in sources[1].once()]
    carried: dict[str, State | None] = {"train": None, "tune": None}

    def once(kind: str, step: Callable[[], dict[str, float]]) -> Callable[[], float]:
        def run() -> float:
            torch.manual_seed(0)  # the same masks on both sides
            return step()[f"{kind}_loss"]

        return run

    def looped(kind: str) -> dict[str, float]:
        window: Window = sources[0 if kind == "train" else 1].next()
        if window.begin() is None:
            carried[kind] = None
        batch = window.tokens, window.targets
        window.end(tuple((torch.zeros(1), torch.zeros(1)) for _ in range(2)))
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(amp)):
            if kind == "train":
                with torch.no_grad():
                    lam = hypers.draw(*noise.draw(window.rows))
                loss, carried[kind] = loop.train_step(batch, carried[kind], lam)
            else:
                loss, carried[kind] = loop.tune_step(batch, carried[kind])
        return {f"{kind}_loss": float(loss)}

    def slow_evaluation() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(amp)):
            return float(loop.evaluate(scored))

    name = f"LSTM {config.network.hidden}x2 {amp or 'float32'}"
    fast = {"train": once("train", tuner.train_step), "tune": once("tune", tuner.tune_step)}
    slow = {kind: once(kind, lambda kind=kind: looped(kind)) for kind in ("train", "tune")}  # type: ignore[misc]
    made = []
    for kind, bar in zip(("train", "tune"), bars, strict=False):
        peaks = f"peak {peak(fast[kind])}, loop {peak(slow[kind])} MB"
        made.append(compare(f"{name} {kind} step ({peaks})", fast[kind], slow[kind], 3, bar))
    return [*made, compare(f"{name} evaluation", lambda: _valid(tuner), slow_evaluation, 3, bars[2])]


def text(config: LSTMConfig, count: int) -> Text:
    """Random words: enough of them for some windows of every kind, the test text as short as can be."""
    rng, net = np.random.default_rng(0), config.network
    lengths = (
        config.descent.batch * (16 * net.bptt + 1),
        max(net.eval_batch * (WINDOWS * net.bptt + 1), config.descent.batch * (net.bptt + 1)),
        net.test_batch * (net.bptt + 1),
    )
    parts = [rng.integers(0, count, length).astype(np.int32) for length in lengths]
    return Text("random", *parts, tuple(map(str, range(count))), (0, 0), "", "random words")


def peak(run: Callable[[], object]) -> str:
    """Megabytes of memory that a call needs at its peak, beside what was there; "?" where the system does not tell."""
    run()
    with suppress(OSError, StopIteration, ValueError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark so far
        before = _memory("VmRSS")
        run()
        return f"{(_memory('VmHWM') - before) / 2**10:.0f}"
    return "?"


def _memory(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


def _valid(tuner: object) -> float:
    """The validation loss alone: the reference has no test text."""
    from hyperopt_hn.nn.responses.base import means

    bench = tuner.losses  # type: ignore[attr-defined]
    with torch.no_grad(), tuner.response.view(bench, bench.hypers.lam.detach(), False):  # type: ignore[attr-defined]
        return means(bench, tuner.problem.valid)["loss"]  # type: ignore[attr-defined]
