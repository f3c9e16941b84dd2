"""`python -m deep`: self-tuning networks in PyTorch, one process or several under torchrun."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from deep import assemble, cifar
from deep.experiments import CNN
from deep.logs import open_log, speaks
from deep.machine import room
from deep.pictures import load_images
from hyperopt_hn import launch
from hyperopt_hn.errors import UserError
from hyperopt_hn.nn import TORCH
from hyperopt_hn.wing import Experiment, Wing

WING = Wing(
    "deep",
    "Self-tuning networks in PyTorch, on CPU and CUDA: MacKay et al. 2019, Bae & Grosse 2020.",
    (
        Experiment(
            "cnn", "one CNN on CIFAR-10 and its kind, self-tuning or fixed (MacKay et al. 2019, sec. 4.2)",
            CNN, ("network",), assemble.cnn, cifar.fit, load=load_images,
            data_help="images: cifar10, cifar100, cifar10-jpeg, mnist, fashion-mnist, digits or an .npz of one's own "
            "(default: auto: CIFAR-10 if on disk, else cifar10-jpeg if on disk, else digits; never fetched)",
        ),
    ),
    ("numpy", "torch", "torchvision", "scikit-learn"),
    TORCH,
    open_log,
    speaks,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        with room("give a smaller --batch, fewer images (--n-train) or a smaller --model"):
            return launch.main(WING, argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
