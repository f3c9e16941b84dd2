"""Made-up run directories of the documented layout, for tests of the figures: plausible shapes, no training.

Written as plain JSON and npz, on purpose without `RunLog`, so that reader and writer are checked against the layout
itself. The numbers resemble those of the published MNIST runs; nothing in the project may quote them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Record = Mapping[str, float]
NLL_PER_MSE, NLL_AT_ZERO = 50.0, -1.3836466
DIGITS_NOTE = "scikit-learn's digits (embedded): MNIST is not on disk and cannot be fetched"


def write_all(
    parent: Path, preset: str = "quick", data: str = "digits", seed: int = 7, sigma: float = 0.0, tuples: int = 1500
) -> Path:
    """Every run of the figures under one root, `parent/<preset>-<data>-seed<seed>`; returns the root."""
    root = parent / f"{preset}-{data}-seed{seed}"
    rng = np.random.default_rng(seed)
    write = _Writer(root, preset, data, seed)
    write("global-small/hypernet", arrays=_global(rng))
    write("local-small/hypernet", arrays=_local(sigma))
    write("crossval/truth", arrays=_crossval())
    write("loss-manifold/closed-form", arrays=_manifold())
    write("weights-vs-loss/surrogates", arrays=_surrogates(rng, tuples))
    for arm, end, slope in (("hypernet", 0.045, 0.0), ("random", 0.0469, 0.2), ("tpe", 0.0466, 0.3)):
        write(f"local-medium/{arm}", records=_course(rng, end - 0.008, slope, arm))
    for arm, end, slope in (("hypernet", 0.0391, 0.0), ("random", 0.0402, 0.2), ("unrolled", 0.0385, 0.0)):
        write(f"local-large/{arm}", records=_course(rng, end, slope, arm))
    for arm, end, hidden in (("linear", 0.0392, []), ("one-hidden", 0.0134, [100]), ("two-hidden", 0.0107, [100, 100])):
        layers = [64 if data == "digits" else 784, *hidden, 10]
        write(f"depth/{arm}", records=_course(rng, end, 0.0, arm), arrays={"layers": layers})
    return root


class _Writer:
    def __init__(self, root: Path, preset: str, data: str, seed: int) -> None:
        self.root, self.preset, self.data, self.seed = root, preset, data, seed

    def __call__(
        self,
        name: str,
        arrays: Mapping[str, Any] | None = None,
        records: Sequence[tuple[float, Record]] = ((0.1, {"valid_loss": 1.0}),),
    ) -> None:
        """One finished run; `records` are (seconds, record)."""
        folder = self.root / name
        folder.mkdir(parents=True)
        experiment, arm = name.split("/")
        digits = self.data == "digits"
        told = {
            "format": 1, "experiment": experiment, "arm": arm, "preset": self.preset, "seed": self.seed,
            "config": {},
            "data": {"name": self.data, "sha256": "0" * 64, "note": DIGITS_NOTE if digits else "MNIST, official files"},
            "versions": {}, "commit": "5e1f0c2d9ab34c7788aa00112233445566778899", "dirty": False,
        }  # fmt: skip
        if experiment == "loss-manifold":
            told["data"] = {"name": "none", "sha256": None, "note": "closed form, no data"}
        lines = [{"step": step, "phase": "tune", "hypers": {}, **record} for step, (_, record) in enumerate(records)]
        clock = [{"step": step, "seconds": round(seconds, 3)} for step, (seconds, _) in enumerate(records)]
        (folder / "config.json").write_text(json.dumps(told))
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "clock.jsonl").write_text("".join(json.dumps(line) + "\n" for line in clock))
        np.savez(folder / "arrays.npz", **{key: np.asarray(value) for key, value in (arrays or {}).items()})  # type: ignore[arg-type]
        result = {"reason": "done", "steps": len(lines), "best": {}, "final": {}, "seconds": clock[-1]["seconds"]}
        (folder / "result.json").write_text(json.dumps(result))


def _true_train(lam: np.ndarray) -> np.ndarray:
    return -1.38 + 0.47 * np.exp(0.86 * lam) / (1.0 + 0.012 * np.exp(1.25 * lam))


def _true_valid(lam: np.ndarray) -> np.ndarray:
    return 2.60 + 0.058 * np.abs(np.minimum(lam - 1.7, 0.0)) + 0.2 * np.maximum(lam - 1.7, 0.0) ** 2


def _crossval() -> dict[str, Any]:
    cross, fine = np.linspace(-1.0, 3.0, 10), np.linspace(-2.0, 4.0, 121)
    best = int(np.argmin(_true_valid(fine)))
    arrays: dict[str, Any] = {}
    for name, lam in (("cross", cross), ("fine", fine)):
        arrays |= {f"{name}_lambda": lam, f"{name}_train": _true_train(lam), f"{name}_valid": _true_valid(lam),
                 f"{name}_test": _true_valid(lam) + 0.01}  # fmt: skip
    return arrays | {"optimum_lambda": fine[best], "optimum_valid": _true_valid(fine)[best],
                   "optimum_train": _true_train(fine)[best]}  # fmt: skip


def _global(rng: np.random.Generator) -> dict[str, Any]:
    lam = np.linspace(-2.0, 4.0, 200)
    valid = _true_valid(lam) - 0.02 * np.maximum(1.0 - lam, 0.0) ** 0.5 + 0.002 * rng.standard_normal(200).cumsum() / 14
    return {
        "curve_lambda": lam, "curve_train": _true_train(lam), "curve_valid": valid, "curve_test": valid + 0.01,
        "tuned_lambda": lam[int(np.argmin(valid))], "tuned_path": np.zeros((3, 2)),
    }  # fmt: skip


def _local(sigma: float) -> dict[str, Any]:
    lam, lam_hat = np.linspace(-2.0, 4.0, 200), 1.66
    off = lam - lam_hat
    valid = _true_valid(np.array(lam_hat)) + 0.30 * off**2
    train = _true_train(np.array(lam_hat)) + 1.45 * off + 0.62 * off**2
    path = np.stack([np.arange(50), np.linspace(-3.5, lam_hat, 50)], axis=1)
    return {"curve_lambda": lam, "curve_train": train, "curve_valid": valid, "curve_test": valid + 0.01,
            "lambda_hat": lam_hat, "sigma": sigma, "path": path}  # fmt: skip


def _manifold() -> dict[str, Any]:
    def train(w: np.ndarray, lam: np.ndarray) -> np.ndarray:
        return -np.log(np.exp(-1.0) + np.exp(-((w + np.sin(lam)) ** 2))) - (lam + np.sin(2.0 * lam)) / 10.0

    step = 0.04 * np.pi / 2.0
    w, lam = np.arange(-2.0, 2.0, 0.04), np.arange(-np.pi, np.pi, step)
    arrays: dict[str, Any] = {"w": w, "lam": lam, "train": train(w[:, None], lam[None, :]), "valid": np.sin(w)}
    arrays |= {"lam_hat": 0.0, "lam_hat_w": 0.0, "lam_hat_loss": train(np.array(0.0), np.array(0.0))}
    losses: dict[str, Callable[..., np.ndarray]] = {"train": train, "valid": lambda w, _: np.sin(w)}
    ends = {"train": (-np.pi / 1.61, np.pi / 1.65), "valid": (-np.pi / 1.6, np.pi / 1.55)}
    for split, loss in losses.items():
        for kind, line in (("best", lam), ("linear", np.arange(*ends[split], step))):
            at = -np.sin(line) if kind == "best" else -line
            arrays |= {f"{split}_{kind}_lam": line, f"{split}_{kind}_w": at, f"{split}_{kind}_loss": loss(at, line)}
            best = int(np.argmin(arrays[f"{split}_{kind}_loss"]))
            if split == "valid":
                arrays |= {f"optimum_{kind}_{key}": arrays[f"valid_{kind}_{key}"][best] for key in ("lam", "w", "loss")}
    return arrays


def _surrogates(rng: np.random.Generator, tuples: int) -> dict[str, Any]:
    true = 0.6 + 0.45 * rng.beta(2.0, 3.5, tuples)
    skew = 0.35 * rng.beta(1.2, 3.0, tuples)
    return {
        "true": true,
        "gp": 0.78 + 0.25 * (true - 0.78) - 0.02 + 0.06 * rng.standard_normal(tuples),
        "gp_fair": 0.78 + 0.45 * (true - 0.78) + 0.05 * rng.standard_normal(tuples),
        "fixed": true + skew,
        "stochastic": 0.8 + 0.85 * (true - 0.8) + 0.03 + 0.02 * rng.standard_normal(tuples),
        "train_true": true[:25],
    }


def _course(rng: np.random.Generator, end: float, trials: float, arm: str) -> list[tuple[float, Record]]:
    """(seconds, record): a decaying curve, or where `trials` > 0 one record per trial of a search."""
    count = 120
    seconds = np.cumsum(rng.uniform(0.18, 0.3, count)) * (0.5 if arm == "linear" else 1.0)
    if trials:
        seconds, mse = seconds[9::10], end + 0.012 * rng.beta(1.0 + trials, 2.0, 12)
    else:
        mse = end + 0.06 * np.exp(-np.arange(count) / 8.0) + 0.0001 * rng.standard_normal(count)
    test = mse + 0.0012
    return [
        (float(at), {"valid_loss": NLL_PER_MSE * v + NLL_AT_ZERO, "test_loss": NLL_PER_MSE * t + NLL_AT_ZERO,
                     "valid_mse": float(v), "test_mse": float(t)})
        for at, v, t in zip(seconds, mse, test, strict=True)
    ]  # fmt: skip
