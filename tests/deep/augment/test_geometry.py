"""Flips, shifts and affine maps against torchvision's for one image, and their distributions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
F = pytest.importorskip("torchvision.transforms.functional")

from deep.augment import geometry  # noqa: E402
from deep.augment.geometry import Affine, AffineStrengths  # noqa: E402
from tests.support.deep_cases import FEW, MANY, NEAR, SEEDS, batch, even, source  # noqa: E402


@FEW
@given(seed=SEEDS)
def test_flip_is_torchvisions(seed):
    images = batch(seed)
    mirrored = torch.rand(5, generator=source(seed)) < 0.5
    truth = [F.hflip(image) if m else image for image, m in zip(images, mirrored, strict=True)]
    assert torch.equal(geometry.flip(images, mirrored), torch.stack(truth))


def test_flips_chance():
    chances = torch.tensor([0.0, 0.25, 1.0]).repeat_interleave(MANY)
    shares = geometry.draw_flip(chances, source()).double().view(3, -1).mean(1)
    assert shares[0] == 0.0 and shares[2] == 1.0 and abs(shares[1] - 0.25) < 0.02


@FEW
@given(seed=SEEDS, pad=st.integers(0, 4))
def test_shift_is_a_crop_of_the_padded_image(seed, pad):
    images = batch(seed)
    down, right = geometry.draw_shifts(torch.full((5,), float(pad)), source(seed))
    assert max(down.abs().max(), right.abs().max()) <= pad
    truth = [
        F.crop(F.pad(image, [pad] * 4), pad - int(d), pad - int(r), 9, 11)
        for image, d, r in zip(images, down, right, strict=True)
    ]
    assert torch.equal(geometry.shift(images, down, right), torch.stack(truth))


def test_shifts_are_uniform_whole_numbers():
    down, right = geometry.draw_shifts(torch.full((MANY,), 2.7), source())
    for steps in (down, right):
        shares = torch.bincount(steps + 2, minlength=5).double() / MANY
        assert len(shares) == 5 and (shares - 0.2).abs().max() < 0.02
    assert abs(float(torch.corrcoef(torch.stack((down, right)).double())[0, 1])) < 0.04


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("side", [(9, 11), (8, 8)])
@FEW
@given(seed=SEEDS)
def test_affine_is_torchvisions(mode, side, seed):
    images = batch(seed, height=side[0], width=side[1])
    ones = torch.ones(5)
    made = geometry.draw_affine(AffineStrengths(60 * ones, 40 * ones, 0.5 * ones, 0.4 * ones), side, source(seed))
    truth = []
    for i, image in enumerate(images):
        angle, shear, scale, right, down = (float(v[i]) for v in vars(made).values())
        kind = F.InterpolationMode(mode)
        truth.append(F.affine(image, angle, [int(right), int(down)], scale, [shear, 0.0], interpolation=kind))
    apart = (geometry.affine(images, made, mode) - torch.stack(truth)).abs() > 1e-4
    ties = 0.01 if mode == "nearest" else 0.0  # places half way between two pixels go either way
    assert apart.double().mean() <= ties


def test_affine_without_strength():
    images, none = batch(0), torch.zeros(5)
    made = geometry.draw_affine(AffineStrengths(none, none, none, none), (9, 11), source())
    torch.testing.assert_close(geometry.affine(images, made), images, **NEAR)
    turned = Affine(none + 90, none, none + 1, none, none)
    square = images[..., :9]
    torch.testing.assert_close(geometry.affine(square, turned), torch.rot90(square, -1, (2, 3)), atol=1e-4, rtol=0)


def test_affine_draws_are_randomaffines():
    strengths = AffineStrengths(*(torch.full((MANY,), s) for s in (30.0, 10.0, 0.3, 0.25)))
    made = geometry.draw_affine(strengths, (32, 16), source())
    even(made.angle, -30, 30)
    even(made.shear, -10, 10)
    even(made.scale, 0.7, 1.3)
    assert made.right.abs().max() == 4 and made.down.abs().max() == 8 and torch.equal(made.down, made.down.round())
