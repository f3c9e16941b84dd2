"""torchvision's resnet18 on scikit-learn's digits, tuning weight decay, label smoothing and input noise.

python -m tests.examples.resnet18_digits DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from hyperopt_hn import Alternation, Hyper, HyperSpace, RunLog, alternate
from hyperopt_hn.nn import Batches, Hypers, Optimizers, TorchProblem, TorchTuner, convert, squared_norm
from hyperopt_hn.nn.tuning.codec import TORCH
from hyperopt_hn.runs.display.progress import Progress

SPACE = HyperSpace(
    [
        Hyper("decay", 1e-4, 1e-7, 1e-2, log=True, shared=True),
        Hyper("smoothing", 0.05, 0.0, 0.3),
        Hyper("noise", 0.1, 0.0, 1.0),
    ]
)


def train_loss(model, batch, h):
    """Cross-entropy with each image's own smoothing and noise, plus the penalty: (B,)."""
    x, y = batch
    noisy = x + h["noise"].reshape(-1, 1, 1, 1) * torch.randn_like(x)
    logp = model(noisy).log_softmax(-1)
    s = h["smoothing"]
    return -(1 - s) * logp.gather(1, y[:, None])[:, 0] - s * logp.mean(-1) + h["decay"] * squared_norm(model)


def valid_loss(model, batch):
    """Cross-entropy on clean images."""
    return F.cross_entropy(model(batch[0]), batch[1])


def accuracy(model, batch):
    """Share of right answers."""
    return {"accuracy": (model(batch[0]).argmax(-1) == batch[1]).float().mean()}


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images (1797, 3, 16, 16) in [0, 1] in a fixed random order, and labels."""
    bunch = load_digits()
    x = torch.as_tensor(bunch.images, dtype=torch.float32)[:, None] / 16
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x = F.interpolate(x, scale_factor=2, mode="nearest").expand(-1, 3, -1, -1)
    return x[order].contiguous(), torch.as_tensor(bunch.target)[order]


def build(batch: int = 64) -> TorchTuner:
    """The converted model with its problem, optimizers and tuner."""
    torch.manual_seed(0)
    x, y = digits()
    model = convert(resnet18(num_classes=10), SPACE)
    hypers = Hypers(SPACE)
    problem = TorchProblem(
        train_loss,
        valid_loss,
        train=Batches.of((x[:1000], y[:1000]), batch, seed=1),
        valid=Batches.of((x[1000:1400], y[1000:1400]), batch, seed=2),
        test=Batches.of((x[1400:], y[1400:]), 200),
        metrics=accuracy,
    )
    phi = torch.optim.Adam(model.parameters(), 1e-3)
    return TorchTuner(model, hypers, problem, Optimizers(phi, torch.optim.Adam([hypers.lam], 0.02)), "delta")


def main(folder: Path, plan: Alternation, batch: int = 64) -> TorchTuner:
    """Train, tune and return the tuner; the run's record is in `folder`."""
    tuner = build(batch)
    log = RunLog(folder, {"experiment": "resnet18-digits"}, codec=TORCH)
    alternate(tuner, plan, log, Progress("resnet18", plan.total))
    return tuner


if __name__ == "__main__":
    tuner = main(Path(sys.argv[1]), Alternation(steps=600, warmup=60, train_per_cycle=2, evaluate_every=60))
    print(tuner.hypers())
    plain: nn.Module = tuner.collapsed()
    torch.save(plain.state_dict(), Path(sys.argv[1]) / "resnet18.pt")
