"""A train step of the self-tuning SmallCNN on 128 images of 32 x 32: augmentation, two-path network, SGD (11 λ).

The reference has the published structure and is handed λ, batches and augmentation's draws, which the fast side
makes itself. Both start from the same weights and use the same masks, so that their losses agree: to rounding with
torchvision's float path, roughly with PIL (which rounds images to whole levels) and with bfloat16.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hyperopt_hn.data.images import Images
from tests.bench.harness import Row, compare

REPEATS = 7
BATCH = 128


def rows() -> list[Row]:
    """Every comparison; none where torch or torchvision is not installed."""
    try:
        import torch
        import torchvision  # noqa: F401
    except ImportError:
        return []
    from deep.machine import Machine

    torch.set_num_threads(1)
    plain, half = Machine(channels_last=True), Machine(channels_last=True, amp="bf16")
    return [
        _compared("float32, against PIL image by image", plain, True, 2.1),
        _compared("bfloat16, against PIL image by image in float32", half, True, 3.0),
        _compared("float32, against torchvision's float path", plain, False, None),
    ]


def pictures(count: int = 2048) -> Images:
    """Random images in patches of 4 x 4, as pictures have them, under the name of CIFAR-10."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    labels[:10] = np.arange(10)
    return Images("cifar10", images, labels, images[:64], labels[:64], 255.0, "", "random")


def _compared(name: str, machine: object, pil: bool, bar: float | None) -> Row:
    import torch

    from deep.choice import TuningChoice
    from deep.cnn import experiment
    from tests.reference.deep_step_loops import Step

    data = pictures()
    strengths = "dropouts=0.2,jitters=0.4,hue=0.2,cutlength=8,cutholes=2,input=0.1"
    config = experiment.CNNConfig(choice=TuningChoice(tune="stn", init=strengths))
    config = experiment.fit(replace(config, machine=machine, descent=replace(config.descent, batch=BATCH)), data)
    tuner = experiment.build_tuner(config, data, experiment.space_of_config(config, data))
    handed = iter(_handed(tuner, REPEATS + 1))
    train = tuner.problem.train
    reference = Step(tuner.losses.bare, data.train_images, train.labels, _view(tuner).normal, config.descent, pil)

    def fast() -> float:
        torch.manual_seed(0)
        return tuner.train_step()["train_loss"]

    def slow() -> float:
        torch.manual_seed(0)
        return reference(next(handed))

    return compare(name, fast, slow, REPEATS, bar)


def _view(tuner: object) -> object:
    return tuner.problem.train_loss.__self__.view  # type: ignore[attr-defined]


def _handed(tuner: object, count: int) -> list[object]:
    """The batches, λ and draws that the tuner's next train steps will make; the tuner is left as it was."""
    from deep.augment.pipeline import draw
    from tests.reference.deep_step_loops import Outside

    train, hypers, before = tuner.problem.train, tuner.losses.hypers, tuner.state()  # type: ignore[attr-defined]
    found = []
    for _ in range(count):
        place = train.batches.state()["place"]
        index = train.batches._order[place : place + BATCH].clone()
        images, _ = train.next()
        lam = hypers.draw(*tuner.noise.draw(BATCH)).detach()  # type: ignore[attr-defined]
        h = {name: value.detach() for name, value in hypers.values(lam).items()}
        found.append(Outside(index, lam, h, draw(images.float(), h, train.generator)))
    tuner.load_state(before)  # type: ignore[attr-defined]
    return found
