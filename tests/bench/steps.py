"""Whole steps of the full-size networks on any device: `python -m tests.bench.steps [--device cpu] [NAME ...]`.

For each configuration: train and tune steps a second (median of blocks, the host waiting once a block), operations
(on CUDA: kernels) launched by a step, peak memory, FLOPs of a step and how many times longer it takes than those FLOPs
in matrix products of 4096 x 4096 (CPU: 512 x 512) in the same precision. No reference stands beside them: compare
the lines with each other. Images are random bytes if there is no CIFAR-10, words random if there is no PTB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from deep.cnn import experiment as cnn_experiment
from deep.cnn.presets import DELTA, PAPER
from deep.lstm import experiment as lstm_experiment
from deep.lstm.presets import PAPER as LSTM
from deep.lstm.presets import split
from deep.machine import Machine
from hyperopt_hn.data.catalogue import Images, load
from hyperopt_hn.data.text import Text, load_text
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TorchTuner

BLOCKS = 5
Make = Callable[[], Any]


def images() -> Images:
    """CIFAR-10, its JPEG copy, or random bytes of that shape."""
    for name in ("cifar10", "cifar10-jpeg"):
        try:
            return load(name, download=False)
        except UserError:
            continue
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50_000, 32, 32, 3), np.uint8), rng.integers(0, 10, 50_000).astype(np.uint8)
    return Images("random", x, y, x[:10_000], y[:10_000], 255.0, "", "random bytes")


def text() -> Text:
    """PTB, or as many random words."""
    try:
        return load_text("ptb", download=False)
    except UserError:
        words = np.random.default_rng(0).integers(0, 10_000, 929_589).astype(np.int32)
        return Text("random", words, words[:73_760], words[:82_430], tuple(map(str, range(10_000))), (0, 0), "", "")


def cases(device: str) -> Iterator[tuple[str, Make]]:
    """Name -> a tuner's maker."""
    pictures, words = images(), text()
    machines = {
        "float32": Machine(device=device),
        "bf16": Machine(device=device, amp="bf16"),
        "bf16 channels-last": Machine(device=device, amp="bf16", channels_last=True),
        "float32 graphs": Machine(device=device, graphs=True),
        "bf16 graphs": Machine(device=device, amp="bf16", graphs=True),
        "bf16 compiled": Machine(device=device, amp="bf16", compile="reduce-overhead"),
    }
    for name, config in (("AlexNet STN", PAPER), ("AlexNet Δ-STN", DELTA)):
        for kind, machine in machines.items():
            if not (config is DELTA and machine.compile):  # forward mode is not traced
                yield f"{name} {kind}", _cnn(replace(config, machine=machine), pictures)
    for response in ("stn", "delta"):
        for kind in ("float32", "bf16"):
            method = replace(LSTM.method, response=response)
            yield f"LSTM {response} {kind}", _lstm(replace(LSTM, machine=machines[kind], method=method), words)
    for form in ("full", "lowrank", "gated"):
        for kind in ("float32", "bf16", "float32 graphs", "bf16 graphs"):
            for every, what in ((1, "train and respond"), (1_000_000, "train alone")):
                config = split(replace(LSTM, machine=machines[kind]))
                method = replace(config.method, form=form, respond_every=every)
                span = replace(config.span, warmup_epochs=0.003)  # one step of the response
                yield f"LSTM split {form} {kind}, {what}", _lstm(replace(config, method=method, span=span), words)


def measure(tuner: TorchTuner, steps: int) -> dict[str, float]:
    """The numbers of one configuration."""
    device = tuner.losses.hypers.lam.device
    for step in (tuner.train_step, tuner.tune_step) * 3:
        step()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    found: dict[str, float] = {}
    for kind, step in (("train", tuner.train_step), ("tune", tuner.tune_step)):
        seconds = _seconds(step, steps, device)
        found |= {f"{kind} steps/s": 1.0 / seconds, f"{kind} launches": _launches(step, device)}
        flops = _flops(step)
        if flops:  # what a recorded graph does is not counted
            floor = flops / _rate(device, tuner.losses.dtype or torch.float32)
            found |= {f"{kind} GFLOP": flops / 1e9, f"{kind} times the floor": seconds / floor}
    if device.type == "cuda":
        found["peak MiB"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found


def _cnn(config: cnn_experiment.CNNConfig, data: Images) -> Make:
    def make() -> TorchTuner:
        fitted = cnn_experiment.fit(config, data)
        return cnn_experiment.build_tuner(fitted, data, cnn_experiment.space_of_config(fitted, data))

    return make


def _lstm(config: lstm_experiment.LSTMConfig, data: Text) -> Make:
    return lambda: lstm_experiment.build_tuner(config, data, lstm_experiment.space_of_config(config))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _seconds(step: Callable[[], Any], steps: int, device: torch.device) -> float:
    spent = []
    for _ in range(BLOCKS):
        _wait(device)
        start = time.perf_counter()
        for _ in range(steps):
            step()
        _wait(device)
        spent.append((time.perf_counter() - start) / steps)
    return statistics.median(spent)


def _flops(step: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def _launches(step: Callable[[], Any], device: torch.device) -> int:
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        step()
        _wait(device)
    wanted = torch.autograd.DeviceType.CUDA if on_gpu else torch.autograd.DeviceType.CPU
    return sum(event.device_type == wanted for event in seen.events() or [])


def _rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs a second of large matrix products."""
    side = 4096 if device.type == "cuda" else 512
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    a @ b
    return 2.0 * side**3 / _seconds(lambda: a @ b, 20, device)


def main() -> int:
    """Measure the configurations asked for, all without a name; a line each, and JSON into --out."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steps", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names, such as LSTM or bf16")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=50, help="steps in a block")
    parser.add_argument("--out", type=Path, default=None, help="also write the numbers to this file")
    asked = parser.parse_args()
    table: dict[str, dict[str, float]] = {}
    for name, make in cases(asked.device):
        if not asked.names or any(part in name for part in asked.names):
            table[name] = measure(make(), asked.steps)
            print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in table[name].items()), flush=True)
            if asked.out is not None:
                asked.out.write_text(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
