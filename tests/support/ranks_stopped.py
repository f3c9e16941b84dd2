"""Ranks that are signalled: torchrun --nproc-per-node 2 -m tests.support.ranks_stopped DIRECTORY

In turn each rank sends itself each signal in the middle of a step; both must stop within two steps, and the resumed
run must leave the record of one that nobody stopped. Then DIRECTORY/ready is written and the ranks wait for a signal
from outside. Writes DIRECTORY/told.<rank>.json.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed as dist

from hyperopt_hn import Alternation, alternate
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import distributed
from hyperopt_hn.nn.tuning.codec import TORCH
from hyperopt_hn.runs.display.progress import Progress
from hyperopt_hn.stopping import Interrupted

PLAN = Alternation(steps=20, tune_per_cycle=0, evaluate_every=5)
AT = 7
SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")


class Walk:
    """A sum over the ranks at each step, as a training's averaged gradient; `signalled` sends itself a signal once."""

    def __init__(self, signalled: int | None = None, pause: float = 0.0) -> None:
        self.x, self.done, self.signalled, self.pause = 0.0, 0, signalled, pause

    def train_step(self):
        if self.signalled is not None and self.done == AT - 1:
            os.kill(os.getpid(), self.signalled)
        time.sleep(self.pause)
        self.done += 1
        self.x += float(distributed.total(torch.tensor([1.0 / (self.done + distributed.rank())])))
        return {"train_loss": self.x}

    def tune_step(self):
        raise AssertionError

    def evaluate(self):
        return {"valid_loss": self.x + 1.0}

    def hypers(self):
        return {"a": self.x}

    def state(self):
        return {"x": self.x, "done": self.done}

    def load_state(self, state):
        self.x, self.done = state["x"], state["done"]

    def arrays(self):
        return {}


def go(path: Path, tuner: Walk, plan: Alternation = PLAN, **flags: bool) -> int:
    """The step at which the run ended, by itself or by a signal."""
    log = distributed.open_log(path, {"experiment": "walk", "config": {}}, TORCH, **flags)
    with suppress(Interrupted):
        alternate(tuner, plan, log, Progress("walk", plan.total, quiet=True))  # type: ignore[arg-type]
    return tuner.done


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    told: dict[str, object] = {"whole": go(folder / "whole", Walk())}
    told["seen"] = (folder / "whole" / "result.json").exists()  # at once on every rank, as alternate has returned
    for name in SIGNALS:
        for who in range(2):
            path = folder / f"{name}-{who}"
            stopped = go(path, Walk(getattr(signal, name) if rank == who else None))
            saved = TORCH.load(path / "checkpoint.pt")["state"]["loop"]["done"]
            told[path.name] = [stopped, saved, go(path, Walk(), resume=True)]
    try:
        go(folder / "whole", Walk())
    except UserError as error:
        told["refused"] = str(error)
    if rank == 0:
        (folder / "ready").touch()
    told["outside"] = go(folder / "outside", Walk(pause=0.02), Alternation(steps=10**6, tune_per_cycle=0))
    (folder / f"told.{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
