"""`python -m deep`: self-tuning networks in PyTorch, one process or several under torchrun."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch.distributed as dist

from deep.cnn import experiment
from deep.cnn.images import load_images
from deep.cnn.presets import CNN
from deep.compare import presets as compare_presets
from deep.compare.presets import ARMS, COMPARE
from deep.lstm import experiment as lstm_experiment
from deep.lstm import presets as lstm_presets
from deep.lstm import table1
from deep.lstm.text import read_text
from deep.machine import out_of_memory_says
from hyperopt_hn.cli import launch
from hyperopt_hn.cli.experiment import Experiment, Program
from hyperopt_hn.cli.page_command import explored
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TORCH, distributed

IMAGES = (
    "images: cifar10, cifar100, cifar10-jpeg, mnist, fashion-mnist, digits or a custom .npz "
    "(default: auto: CIFAR-10 if on disk, else cifar10-jpeg if on disk, else digits; never fetched)"
)
TEXTS = (
    "text: ptb, topics (Python's help, embedded) or a folder with train.txt, valid.txt and test.txt "
    "(default: auto: PTB if it can be had, else topics)"
)

SMALLER = "give a smaller --batch, --model or --hidden, a shorter --bptt or fewer images (--n-train)"

PROGRAM = Program(
    "deep",
    "Self-tuning networks in PyTorch, on CPU and CUDA: MacKay et al. 2019, Bae & Grosse 2020. "
    "A run as a page to look into: python -m deep explore RUN",
    (
        Experiment(
            "cnn", "one CNN on CIFAR-10 and its kind, self-tuning or fixed (MacKay et al. 2019, sec. 4.2)",
            CNN, ("network",), experiment.cnn, experiment.fit, load=load_images,
            data_help=IMAGES,
        ),
        Experiment(
            "lstm", "one language model, self-tuning, fixed or along a schedule (MacKay et al. 2019)",
            lstm_presets.PRESETS["lstm"], ("network",), lstm_experiment.lstm, load=read_text, data_help=TEXTS,
            derived=lstm_experiment.perplexities,
        ),
        Experiment(
            "table1", "what a schedule of output dropout is worth: fixed, noisy, tuned, replayed (table 1, fig. 3)",
            lstm_presets.PRESETS["table1"], table1.ARMS, table1.build_arm, load=read_text, data_help=TEXTS,
            derived=lstm_experiment.perplexities,
            after=table1.AFTER,
        ),
        Experiment(
            "compare-cnn", "a self-tuning CNN, constants, searches and population-based training under one budget",
            COMPARE["compare-cnn"], ARMS, compare_presets.cnn, compare_presets.fit_cnn, load=load_images,
            data_help=IMAGES, subcommand=True,
        ),
        Experiment(
            "compare-lstm", "the same for a language model (MacKay et al. 2019, table 2)",
            COMPARE["compare-lstm"], ARMS, compare_presets.lstm, load=read_text, data_help=TEXTS, subcommand=True,
            derived=lstm_experiment.perplexities,
        ),
    ),
    ("numpy", "torch", "torchvision", "scikit-learn", "optuna"),
    TORCH,
    distributed.open_log,
    distributed.is_first,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with out_of_memory_says(SMALLER):
            return (
                explored("deep.api.run_pages", words[1:]) if words[:1] == ["explore"] else launch.main(PROGRAM, words)
            )
    except UserError as error:
        print(f"error: {error.typed}", file=sys.stderr)
        return 2
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    raise SystemExit(main())
