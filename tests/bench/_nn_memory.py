"""`python -m tests.bench._nn_memory NAME plain|FORM`: MiB that some steps of one network add to a process."""

from __future__ import annotations

import resource
import sys

import torch

from tests.bench import _nn_forms


def main() -> None:
    """Print how far the largest resident size rises above that before the network is made."""
    name, form = sys.argv[1:]
    task = next(task for task in _nn_forms.tasks() if task.name == name)
    torch.manual_seed(0)
    _nn_forms.F.cross_entropy(torch.randn(4, 3, requires_grad=True), torch.zeros(4, dtype=torch.long)).backward()
    before = _largest()
    run = _nn_forms.plain_run(task) if form == "plain" else _nn_forms.tuning_run(task, form)
    for _ in range(2):
        run()
    print(_largest() - before)


def _largest() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
