"""One rank of a parallel run: torchrun --nproc-per-node 2 -m tests.support.ranks DIRECTORY

Writes DIRECTORY/<case>.<rank>.pt; the same `steps` in one process, with twice the batch, are the truth.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from hyperopt_hn import Alternation, alternate
from hyperopt_hn.nn import convert, distributed
from hyperopt_hn.nn.setup.batches import Batches
from hyperopt_hn.nn.setup.hypers import Hypers
from hyperopt_hn.nn.setup.problem import Optimizers, TorchProblem, TunerConfig
from hyperopt_hn.nn.tuning.codec import TORCH, save_checkpoint
from hyperopt_hn.nn.tuning.tuner import TorchTuner
from hyperopt_hn.runs.display.progress import Progress
from tests.hyperopt_hn.nn.tuning.test_tuner import data, net, plain_loss, quiet, space_of_three, train_loss, valid_loss

RESPONSES = ("stn", "delta", "implicit")


def make(response: str, size: int, exact: bool = True, wrap: bool = False, start: int = 1) -> TorchTuner:
    """`exact`: no dropout and no batch norm, whose effect depends on how a batch is cut."""
    torch.manual_seed(start + 10 * distributed.rank())  # ranks differ until the tuner makes them equal
    space = quiet() if exact else space_of_three()
    model = convert(net(norm=not exact), space, gain="stn", dropout={"3": "dropout"})
    hypers = Hypers(space)
    called = nn.parallel.DistributedDataParallel(model) if wrap else model
    loss = plain_loss if response == "implicit" else train_loss
    problem = TorchProblem(loss, valid_loss, Batches.of(data(0), size, 1), Batches.of(data(1), size, 2),
                           Batches.of(data(2, 37), size))  # fmt: skip
    phi = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    rho = None if response == "implicit" else torch.optim.Adam([hypers.rho], 0.02)
    optimizers = Optimizers(phi, torch.optim.Adam([hypers.lam], 0.02), rho)
    return TorchTuner(called, hypers, problem, optimizers, response, TunerConfig(clip=1.0, seed=4, tau=1e-3))


def steps(tuner: TorchTuner, count: int = 6) -> list[float]:
    losses: list[float] = []
    for _ in range(count):
        for found in (tuner.train_step(), tuner.tune_step(), tuner.evaluate()):
            losses += found.values()
    return losses


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    rank = dist.get_rank()

    def keep(case: str, tuner: TorchTuner, losses: list[float]) -> None:
        state = tuner.state()
        save_checkpoint(folder / f"{case}.{rank}.pt", {"state": state, "losses": losses})

    for response in RESPONSES:
        tuner = make(response, 8)
        keep(response, tuner, steps(tuner))
    tuner = make("stn", 8, wrap=True)
    keep("wrapped", tuner, steps(tuner))

    tuner = make("stn", 8, exact=False)  # dropout and batch norm: each rank its own masks, one λ̂ and one φ
    steps(tuner, 3)
    state = tuner.state()
    wanted = steps(tuner, 3)
    tuner.load_state(state)
    keep("resumed", tuner, [float(steps(tuner, 3) == wanted)])

    tuner = make("delta", 8, exact=False)
    plan = Alternation(steps=12, evaluate_every=4, max_seconds=1e4)
    log = distributed.open_log(folder / "run", {"experiment": "ranks", "config": {}}, TORCH)
    alternate(tuner, plan, log, Progress("ranks", plan.total, quiet=True))  # type: ignore[arg-type]
    keep("alternate", tuner, [])
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
