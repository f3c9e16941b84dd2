"""`python -m deep`: self-tuning networks in PyTorch, one process or several under torchrun."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch.distributed as dist

from deep import assemble, cifar, compare_experiments, lstm_experiments, schedules
from deep.compare_experiments import ARMS, COMPARE
from deep.corpus import read_text
from deep.experiments import CNN
from deep.logs import open_log, speaks
from deep.machine import room
from deep.pictures import load_images
from deep.ptb import perplexities
from hyperopt_hn.cli import launch
from hyperopt_hn.cli.experiment import Experiment, Wing
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TORCH

IMAGES = (
    "images: cifar10, cifar100, cifar10-jpeg, mnist, fashion-mnist, digits or an .npz of one's own "
    "(default: auto: CIFAR-10 if on disk, else cifar10-jpeg if on disk, else digits; never fetched)"
)
TEXTS = (
    "text: ptb, topics (Python's help, embedded) or a folder with train.txt, valid.txt and test.txt "
    "(default: auto: PTB if it can be had, else topics)"
)

WING = Wing(
    "deep",
    "Self-tuning networks in PyTorch, on CPU and CUDA: MacKay et al. 2019, Bae & Grosse 2020.",
    (
        Experiment(
            "cnn", "one CNN on CIFAR-10 and its kind, self-tuning or fixed (MacKay et al. 2019, sec. 4.2)",
            CNN, ("network",), assemble.cnn, cifar.fit, load=load_images,
            data_help=IMAGES,
        ),
        Experiment(
            "lstm", "one language model, self-tuning, fixed or along a schedule (MacKay et al. 2019)",
            lstm_experiments.PRESETS["lstm"], ("network",), schedules.network, load=read_text, data_help=TEXTS,
            told=perplexities,
        ),
        Experiment(
            "table1", "what a schedule of output dropout is worth: fixed, noisy, tuned, replayed (table 1, fig. 3)",
            lstm_experiments.PRESETS["table1"], schedules.ARMS, schedules.table1, load=read_text, data_help=TEXTS,
            told=perplexities,
            after=schedules.AFTER,
        ),
        Experiment(
            "compare-cnn", "a self-tuning CNN, constants, searches and population-based training under one budget",
            COMPARE["compare-cnn"], ARMS, compare_experiments.cnn, compare_experiments.fit_cnn, load=load_images,
            data_help=IMAGES,
        ),
        Experiment(
            "compare-lstm", "the same for a language model (MacKay et al. 2019, table 2)",
            COMPARE["compare-lstm"], ARMS, compare_experiments.lstm, load=read_text, data_help=TEXTS,
            told=perplexities,
        ),
    ),
    ("numpy", "torch", "torchvision", "scikit-learn", "optuna"),
    TORCH,
    open_log,
    speaks,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        with room("give a smaller --batch, --model or --hidden, a shorter --bptt or fewer images (--n-train)"):
            return launch.main(WING, argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main())
