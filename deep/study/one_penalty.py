"""`python -m deep.study.one_penalty`: logistic regression with one L2 strength, from starts three decades off.

The truth is the exact minimum at each strength (L-BFGS on all rows), on 300 noisy digits; tuned with batches of 50.

    python -m deep.study.one_penalty --seeds 11,12,13 --steps 8000 --respond-every 1
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deep.study.tasks import Pair, Splits, digits
from hyperopt_hn import Hyper
from hyperopt_hn.nn import SelfTuner, Tuning, squared_norm

GRID = np.arange(-5.0, 0.01, 0.25)
"""Decimal logarithms of the strengths that are solved exactly."""
STARTS = (-3.0, 0.0, 3.0)
"""Decades from the best strength."""


def solved(data: Pair, strength: float) -> nn.Linear:
    """The weights that minimise cross entropy + strength x squared norm on these rows."""
    rows, labels = data[0].double(), data[1]
    model = nn.Linear(64, 10).double()
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-7, tolerance_change=1e-12
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        penalty = model.weight.square().sum() + model.bias.square().sum()
        value = cross_entropy(model(rows), labels) + strength * penalty
        value.backward()
        return value

    optimizer.step(loss)
    return model


def exact(splits: Splits, logarithm: float) -> float:
    """Validation loss of the exact weights at a strength."""
    with torch.no_grad():
        return float(cross_entropy(solved(splits[0], 10**logarithm)(splits[1][0].double()), splits[1][1]))


def tuned(splits: Splits, start: float, seed: int, steps: int, every: int) -> float:
    """The decimal logarithm of the strength that a run ends with."""
    torch.manual_seed(seed)
    tuner = SelfTuner(
        nn.Linear(64, 10),
        [Hyper("decay", 10**start, 1e-8, 1e2, log=True, shared=True)],
        train_loss=lambda model, batch, h: cross_entropy(model(batch[0]), batch[1]) + h["decay"] * squared_norm(model),
        valid_loss=lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        optimizer=lambda parameters: torch.optim.Adam(parameters, 1e-2),
        tuning=Tuning(respond_every=every),
        seed=seed,
    )
    result = tuner.fit(splits[0], splits[1], steps=steps, batch_size=50, quiet=True)
    return math.log10(float(result.course["decay"][-1]))


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each seed and start."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m deep.study.one_penalty", description=about)
    parser.add_argument("--seeds", default="11,12,13", help="comma-separated whole numbers")
    parser.add_argument("--steps", type=int, default=8000, help="training steps of a run")
    parser.add_argument("--respond-every", type=int, default=1, help="training steps for each step of the response")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    found = []
    for seed in (int(word) for word in given.seeds.split(",")):
        splits = digits(seed, train=300)
        losses = [exact(splits, logarithm) for logarithm in GRID]
        best = float(GRID[int(np.argmin(losses))])
        for away in STARTS:
            started = time.process_time()
            end = tuned(splits, best + away, seed, given.steps, given.respond_every)
            found.append(exact(splits, end) - min(losses))
            print(
                f"seed {seed}: best 1e{best:.2f} ({min(losses):.3f}), from 1e{best + away:.2f} to 1e{end:.2f}, "
                f"excess {found[-1]:+.3f}, {time.process_time() - started:.0f} s",
                flush=True,
            )
    print(f"excess {np.mean(found):+.3f} ± {np.std(found):.3f}, worst {max(found):+.3f}, of {len(found)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
