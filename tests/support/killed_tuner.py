"""A small run with everything in it that a checkpoint must hold; kills itself at a given step when asked.

python -m tests.support.killed_tuner DIRECTORY RESPONSE STEP
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from hyperopt_hn import Alternation, RunLog, alternate
from hyperopt_hn.nn import convert
from hyperopt_hn.nn.setup.batches import Batches
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.looped import Looped
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig
from hyperopt_hn.nn.setup.schedulers import Schedulers
from hyperopt_hn.nn.tuning.codec import TORCH
from hyperopt_hn.nn.tuning.tuner import TorchTuner
from hyperopt_hn.runs.display.progress import Progress
from tests.hyperopt_hn.nn.tuning.test_tuner import data, net, space_of_three, train_loss, valid_loss

PLAN = Alternation(steps=24, warmup=4, train_per_cycle=2, evaluate_every=5, checkpoint_every=3)


def make(response: str, kill_at: int = 0, device: str = "cpu") -> TorchTuner:
    """Dropout, batch norm, momentum, Adam, schedules of three kinds, a DataLoader, tuned spreads, accumulation."""
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    space = space_of_three()
    model = convert(net(), space, gain="stn", dropout={"3": "dropout"}).to(device)
    hypers = Hypers(space, device)
    calls = [0]

    def loss(m, batch, h):
        calls[0] += 1
        if kill_at and calls[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return train_loss(m, batch, h)

    first, second, third = ([t.to(device) for t in data(seed)] for seed in range(3))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*second), 16, shuffle=True)
    problem = TorchProblem(loss, valid_loss, Batches.of(first, 16, 1), Looped(loader), Batches.of(third, 32))
    phi = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True)
    lam, rho = torch.optim.Adam([hypers.lam], 0.02), torch.optim.RMSprop([hypers.rho], 0.01)
    schedule = Schedulers(
        [torch.optim.lr_scheduler.CosineAnnealingLR(phi, 24)],
        [torch.optim.lr_scheduler.LinearLR(lam, 0.1, total_iters=5)],
        [torch.optim.lr_scheduler.ReduceLROnPlateau(rho, patience=0)],
    )
    return TorchTuner(model, hypers, problem, Optimizers(phi, lam, rho, schedule), response,
                      TunerConfig(tau=1e-3, seed=9, accumulate=2, clip=1.0))  # fmt: skip


def run(path: Path, response: str, kill_at: int = 0, resume: bool = False) -> TorchTuner:
    tuner = make(response, kill_at)
    log = RunLog(path, {"experiment": "killed", "config": {"response": response}}, resume=resume, codec=TORCH)
    alternate(tuner, PLAN, log, Progress("killed", PLAN.total, quiet=True))
    return tuner


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), resume=Path(sys.argv[1]).exists())
