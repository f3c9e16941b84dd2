"""Made-up runs of deep, written through the real `RunLog`: plausible courses, nothing is trained.

Only the clock is set by hand afterwards, since a run that trains nothing takes no time. The numbers are invented;
nothing in the project may quote them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyperopt_hn.runs.writer import RunLog

CNN = {
    **{f"dropout{i}": (0.05, 0.15 + 0.09 * i) for i in range(5)},
    "fcdropout0": (0.05, 0.62), "fcdropout1": (0.05, 0.55),
    "hue": (0.05, 0.12), "contrast": (0.05, 0.42), "sat": (0.05, 0.61), "bright": (0.05, 0.40),
    "indropout": (0.05, 0.03), "inscale": (0.05, 0.17), "cutlength": (4, 12), "cutholes": (1, 2),
}  # fmt: skip
"""Hyperparameter -> where it starts and where it ends."""
LSTM = {
    "alpha": (0.05, 0.9), "beta": (0.05, 0.5), "dropouto": (0.05, 0.68), "dropouti": (0.05, 0.4),
    "dropouth": (0.05, 0.3), "dropoute": (0.05, 0.1), "wdrop": (0.05, 0.45),
}  # fmt: skip
ENDS = {
    "stn": 0.60, "delta": 0.58, "fixed": 0.75, "hand": 0.66, "plain": 0.82, "random": 0.70, "grid": 0.79, "tpe": 0.67,
    "gp": 0.68, "pbt": 0.64,
}  # fmt: skip
"""Arm of a comparison -> the validation loss it comes to."""
SEARCHES = ("random", "grid", "tpe", "gp", "pbt")
TABLE1 = {"fixed": 4.45, "gaussian": 4.46, "sinusoid": 4.44, "final": 4.5, "stn": 4.41, "replay": 4.42}
HELD = {"final": 0.75}
STARTS = {"stn": 0.05, "init30": 0.3, "init50": 0.5, "init70": 0.7, "init90": 0.9}
RECORDS, TRAIN, TUNE = 40, 100, 50


def write_deep(
    parent: Path, preset: str = "quick", data: str = "cifar10-jpeg", seed: int = 7, max_seconds: float = 120.0
) -> Path:
    """Every run of the deep figures on images, or for data "ptb" on a text; returns the root.

    `max_seconds` 0 stands for a budget in steps.
    """
    rng = np.random.default_rng(seed)
    text = data == "ptb"
    config = (
        {"hidden": 64, "layers": 2, "train_tokens": 60_000}
        if text
        else {"model": "small", "n_train": 4000, "n_valid": 1000}
    )
    write = Writer(parent / f"{preset}-{data}-seed{seed}", {**config, "max_steps": 0, "max_seconds": max_seconds}, seed)
    single, compared = ("lstm", "compare-lstm") if text else ("cnn", "compare-cnn")
    hypers, shift = (LSTM, 4.0) if text else (CNN, 0.0)
    write(f"{single}/network", records(rng, shift + 0.61, hypers, accuracy=not text))
    for arm, end in ENDS.items():
        if not (text and arm == "hand"):
            moves = hypers if arm in ("stn", "delta") else {name: (value, value) for name, (value, _) in hypers.items()}
            write(f"{compared}/{arm}", records(rng, shift + end, moves, arm in SEARCHES, not text))
    if text:
        for arm in dict.fromkeys([*TABLE1, *STARTS]):
            moves = {"dropouto": (STARTS[arm], 0.75)} if arm in STARTS else {"dropouto": (HELD.get(arm, 0.68),) * 2}
            write(f"table1/{arm}", records(rng, TABLE1.get(arm, 4.45), moves, accuracy=False))
    return write.root


class Writer:
    """Writes finished runs under a root whose name tells preset, data and seed."""

    def __init__(self, root: Path, config: Mapping[str, Any], seed: int) -> None:
        self.root, self.config, self.seed = root, config, seed

    def __call__(self, name: str, entries: Sequence[Mapping[str, Any]], seconds: Sequence[float] | None = None) -> Path:
        """One run with these records, at these seconds (default: one every three)."""
        experiment, arm = name.split("/")
        preset, data = self.root.name.rsplit("-seed", 1)[0].split("-", 1)
        log = RunLog(
            self.root / name,
            {
                "experiment": experiment, "arm": arm, "preset": preset, "seed": self.seed, "config": dict(self.config),
                "data": {"name": data, "sha256": "0" * 64, "note": f"{data}, made up for tests"},
                "versions": {}, "commit": "5e1f0c2d9ab34c7788aa00112233445566778899", "dirty": False,
            },
        )  # fmt: skip
        for entry in entries:
            log.record(entry)
        best = min(entries, key=lambda entry: entry["valid_loss"])
        log.finish({"reason": "finished", "sentence": "", "steps": entries[-1]["step"], "best": best, "final": {}}, {})
        times = seconds or [3.0 * (i + 1) + 0.01 * self.seed for i in range(len(entries))]
        clock = [{"step": e["step"], "seconds": t} for e, t in zip(entries, times, strict=True)]
        (self.root / name / "clock.jsonl").write_text("".join(json.dumps(line) + "\n" for line in clock))
        return self.root / name


def records(
    rng: np.random.Generator, end: float, hypers: Mapping[str, Any], search: bool = False, accuracy: bool = True
) -> list[dict[str, Any]]:
    """Records of a run that comes to the loss `end` while its hyperparameters go from start to end."""
    found: list[dict[str, Any]] = []
    low = np.inf
    for i in range(RECORDS + 1):
        share = i / RECORDS
        valid = end + 1.7 * np.exp(-9.0 * share) + 0.01 * rng.standard_normal()
        if search:
            valid = low = min(low, end + 0.25 * rng.beta(1.0, 2.0) if i else end + 2.0)
        moved = {
            name: abs(a + (b - a) * (1 - np.exp(-4.0 * share)) + 0.1 * (b - a) * rng.standard_normal() * (share > 0))
            for name, (a, b) in hypers.items()
        }
        entry = {
            "step": i * (TRAIN + TUNE), "train_steps": i * TRAIN, "phase": "tune", "valid_loss": float(valid),
            "test_loss": float(valid) + 0.02,
            "hypers": {name: round(value) if name.startswith("cut") else float(value) for name, value in moved.items()},
        }  # fmt: skip
        if search:
            entry["trials"] = (i + 1) // 2
        if accuracy:
            entry |= {"valid_accuracy": float(np.exp(-valid)), "test_accuracy": float(np.exp(-valid)) - 0.01}
        found.append(entry)
    return found
