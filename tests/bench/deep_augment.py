"""Augmentation of 128 images of 32 x 32 (jitters, normalisation, cutout, input dropout and scale; float32).

What counts as the same work: uint8 images in, normalised float32 out, with one strength for each image. The fast side
also makes the random numbers, the reference is handed them. PIL rounds to whole levels between the steps, hue most of
all, so that it agrees only roughly; torchvision on float tensors agrees to rounding. The compiled side is compiled by
the unclocked first call; without a C++ compiler or without torch its rows are left out.
"""

from __future__ import annotations

import shutil

import numpy as np

from tests.bench.harness import Row, compare

BATCH = 128
STRENGTHS = {"bright": 0.4, "contrast": 0.4, "sat": 0.4, "hue": 0.2}
STRENGTHS |= {"cutlength": 8.0, "cutholes": 2.0, "indropout": 0.1, "inscale": 0.1}


def rows() -> list[Row]:
    """Every comparison; none where torch or torchvision is not installed."""
    try:
        import torch
        import torchvision  # noqa: F401
    except ImportError:
        return []
    from deep.augment.pipeline import CIFAR_NORMAL, apply, draw
    from tests.reference import deep_augment_loops as slow

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (BATCH, 8, 8, 3)).astype(np.uint8)
    images = coarse.repeat(4, 1).repeat(4, 2)  # (B, 32, 32, 3), patches as in pictures
    levels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    shape = torch.empty(levels.shape)  # all that a draw needs of the images
    generator = torch.Generator()
    strengths = {name: torch.full((BATCH,), value) for name, value in STRENGTHS.items()}

    def fresh():
        return draw(shape, strengths, generator.manual_seed(0))

    def eager():
        return apply(levels.float().div_(255.0), fresh(), CIFAR_NORMAL).numpy()

    def reference(pil):
        return lambda: slow.augment(images, made, CIFAR_NORMAL, pil).numpy()

    made = fresh()
    found = [
        compare("eager, against PIL image by image", eager, reference(True), repeats=5, bar=5.0),
        compare("eager, against torchvision's float path", eager, reference(False), repeats=3),
    ]
    if shutil.which("g++"):
        compiled = torch.compile(lambda x, draws: apply(x.float() / 255.0, draws, CIFAR_NORMAL), fullgraph=True)
        found.append(
            compare(
                "compiled, against PIL image by image",
                lambda: compiled(levels, fresh()).numpy(),
                reference(True),
                repeats=5,
                bar=10.0,
            )
        )
    return found
