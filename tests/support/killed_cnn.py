"""A small self-tuning CNN with augmentation, dropout and decay; kills itself in a given step when asked.

python -m tests.support.killed_cnn DIRECTORY RESPONSE STEP
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from deep.choice import TuningChoice
from deep.cnn import experiment
from deep.training import Descent, Method, Span
from hyperopt_hn import RunLog, alternate
from hyperopt_hn.nn import TORCH, TorchTuner
from hyperopt_hn.runs.display.progress import Progress
from tests.support.image_cases import images


def config(response: str) -> experiment.CNNConfig:
    """Everything that a checkpoint must hold: order, draws, masks, λ and spreads, momentum, a decay that fires."""
    return experiment.CNNConfig(
        experiment.CNNSettings(flip=True, crop=2),
        TuningChoice(tune="all"),
        Method(response=response, tune_spreads=True, tau=1e-3, lr_lam=0.05, lr_rho=0.02),
        Descent(batch=8, lr=0.05, decay="nonmono", window=1, factor=0.5),
        Span(epochs=5, warmup_epochs=0.5, evaluations=2),
        seed=5,
    )


def run(path: Path, response: str, kill_at: int = 0, resume: bool = False) -> TorchTuner:
    """To the end, or until the process kills itself inside training step `kill_at`."""
    data = images(80)
    ready = experiment.fit(config(response), data)
    space = experiment.space_of_config(ready, data)
    tuner = experiment.build_tuner(ready, data, space)
    layer, calls = tuner.losses.bare.get_submodule("fc"), [0]

    def count(module: torch.nn.Module, inputs: object) -> None:
        calls[0] += module.training
        if kill_at and calls[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    layer.register_forward_pre_hook(count)
    log = RunLog(path, {"experiment": "killed", "config": {"response": response}}, resume=resume, codec=TORCH)
    plan = experiment.plan(ready, space)
    alternate(tuner, plan, log, Progress("killed", plan.total, quiet=True))
    return tuner


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), resume=Path(sys.argv[1]).exists())
