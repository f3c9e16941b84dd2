"""Each example at its own strength, against torch's own functions and plain loops."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import cross_entropy  # noqa: E402

from hyperopt_hn import UserError  # noqa: E402
from hyperopt_hn.nn import random_erase, random_rotate, smoothed_cross_entropy  # noqa: E402
from hyperopt_hn.nn.per_example.erasing import erased  # noqa: E402
from hyperopt_hn.nn.per_example.rotation import rotated  # noqa: E402


def test_smoothing_is_torchs_example_by_example():
    logits, labels = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    each = torch.tensor([0.0, 0.1, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    wanted = [cross_entropy(logits[i : i + 1], labels[i : i + 1], label_smoothing=float(s)) for i, s in enumerate(each)]
    assert torch.allclose(smoothed_cross_entropy(logits, labels, each), torch.stack(wanted))
    assert torch.allclose(
        smoothed_cross_entropy(logits, labels, 0.3).mean(), cross_entropy(logits, labels, label_smoothing=0.3)
    )
    with pytest.raises(UserError, match=r"must be \(B, classes\) and \(B,\)"):
        smoothed_cross_entropy(logits, labels[:3], each)


@pytest.mark.parametrize("shape", [(5, 5), (4, 4), (3, 7), (8, 5)])
def test_right_angles_are_exact(shape):
    images = torch.rand(3, 2, *shape, dtype=torch.float64)
    whole = rotated(images, torch.tensor([0.0, 180.0, -180.0]))
    assert torch.allclose(whole[0], images[0]) and torch.allclose(whole[1], images[1].rot90(2, (-2, -1)))
    assert torch.allclose(whole[2], images[2].rot90(2, (-2, -1)))
    if shape[0] == shape[1]:
        quarter = rotated(images, torch.tensor([90.0, -90.0, 450.0]))
        assert torch.allclose(quarter[0], images[0].rot90(1, (-2, -1)))
        assert torch.allclose(quarter[1], images[1].rot90(-1, (-2, -1)))
        assert torch.allclose(quarter[2], images[2].rot90(1, (-2, -1)))


def test_a_picture_that_is_not_square_turns_as_torchvision_turns_it():
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    images = torch.rand(2, 3, 9, 14)
    ours = rotated(images, torch.tensor([25.0, -40.0]))
    for image, turned, angle in zip(images, ours, (25.0, -40.0), strict=True):
        want = functional.rotate(image, angle, interpolation=functional.InterpolationMode.BILINEAR)
        assert torch.allclose(want, turned, atol=1e-4)


def test_each_image_turns_within_its_own_angle():
    point = torch.zeros(400, 1, 41, 41)
    point[:, :, 20, 38:] = 1.0  # a hand that points east
    degrees = torch.linspace(0, 90, 400)
    turned = random_rotate(point, degrees, torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(41) - 20.0, torch.arange(41) - 20.0, indexing="ij")
    mass = turned[:, 0] / turned[:, 0].sum((1, 2), keepdim=True)
    angle = torch.rad2deg(torch.atan2(-(mass * rows).sum((1, 2)), (mass * columns).sum((1, 2))))
    assert bool((angle.abs() <= degrees + 1.0).all()) and angle.std() > 20 and angle.min() < -30 and angle.max() > 30
    assert torch.equal(turned[0], point[0])


def test_erased_squares_are_where_they_should_be():
    images = torch.rand(3, 2, 6, 7) + 1
    out = erased(images, torch.tensor([0, -1, 4]), torch.tensor([1, 5, 0]), torch.tensor([2, 3, 0]))
    want = images.clone()
    want[0, :, 0:2, 1:3] = 0
    want[1, :, 0:2, 5:7] = 0
    assert torch.equal(out, want)


def test_random_erasing_covers_the_area_asked_for_and_reaches_every_pixel():
    images = torch.ones(4000, 1, 8, 10)
    side = torch.arange(4000) % 5
    out = random_erase(images, side.float(), torch.Generator().manual_seed(0))
    gone = (out == 0).sum((1, 2, 3))
    assert bool((gone <= side.square()).all()) and gone[side == 0].sum() == 0
    whole = gone[side == 3]
    assert (whole == 9).float().mean() > 0.5  # those that do not stick out: 6/8 · 8/10
    assert bool((out[side == 1] == 0).any(0).all())
    assert torch.equal(random_erase(images[:5], 2.0, torch.Generator().manual_seed(1)),
                       random_erase(images[:5], torch.full((5,), 2.0), torch.Generator().manual_seed(1)))  # fmt: skip
