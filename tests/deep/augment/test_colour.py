"""Colour jitter against torchvision's for one image, its orders and its distributions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
F = pytest.importorskip("torchvision.transforms.functional")

from deep.augment import colour  # noqa: E402
from tests.support.deep_cases import FEW, MANY, NEAR, SEEDS, batch, each, even, one_colour, orders, source  # noqa: E402

COLOURS = [
    (one_colour(0), F.adjust_brightness, 0.0, 2.0),
    (one_colour(1), F.adjust_contrast, 0.0, 2.0),
    (one_colour(2), F.adjust_saturation, 0.0, 2.0),
    (one_colour(3), F.adjust_hue, -0.5, 0.5),
    (colour.hue, F.adjust_hue, -0.5, 0.5),
]


@pytest.mark.parametrize(("mine", "theirs", "low", "high"), COLOURS)
@pytest.mark.parametrize("channels", [1, 3])
@FEW
@given(seed=SEEDS)
def test_colours_are_torchvisions(mine, theirs, low, high, channels, seed):
    images = batch(seed, channels=channels)
    before = images.clone()
    factors = torch.empty(5).uniform_(low, high, generator=source(seed))
    torch.testing.assert_close(mine(images, factors), each(theirs, images, factors), **NEAR)
    assert torch.equal(images, before), "the images passed in stay as they are"


@pytest.mark.parametrize(("mine", "same"), [(mine, 0.0 if low < 0 else 1.0) for mine, _, low, _ in COLOURS])
def test_colours_at_their_neutral_factor(mine, same):
    images = batch(0)
    torch.testing.assert_close(mine(images, torch.full((5,), same)), images, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("channels", [1, 3])
@FEW
@given(seed=SEEDS, size=st.integers(1, 11))
def test_jitter_is_torchvisions_in_each_images_order(channels, seed, size):
    images = batch(seed, size, channels)
    made = colour.draw_jitter(torch.rand(size, 4, generator=source(seed)) * 0.5, source(seed + 1))
    found = orders(made)
    assert torch.equal(found.sort(1).values, torch.arange(4).expand(size, 4))
    truth = []
    for image, order, factors in zip(images, found.tolist(), made.factors.tolist(), strict=True):
        for step in order:
            image = COLOURS[step][1](image, factors[step])
        truth.append(image)
    torch.testing.assert_close(colour.jitter(images, made), torch.stack(truth), **NEAR)


def test_every_order_of_the_jitter_is_as_likely():
    made = colour.draw_jitter(torch.ones(MANY, 4), source())
    codes = orders(made) @ torch.tensor([64, 16, 4, 1])
    counts = torch.unique(codes, return_counts=True)[1].double()
    assert len(counts) == math.factorial(4)
    assert (counts / MANY - 1 / 24).abs().max() < 5 * math.sqrt(1 / 24 / MANY)
    generator = source(1)
    several = torch.stack([orders(colour.draw_jitter(torch.ones(8, 4), generator)) for _ in range(400)])
    last = int((several[:, 0, 3] == 3).sum())
    assert 60 < last < 140, "hue comes last for the first image in a quarter of the batches"
    assert not torch.equal(several[0], several[0, 0].expand(8, 4)), "one order for each image"


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0, 1.5])
def test_factors_are_colorjitters(strength):
    made = colour.draw_jitter(torch.full((MANY, 4), strength), source())
    for column in range(3):
        if strength:
            even(made.factors[:, column], max(0.0, 1.0 - strength), 1.0 + strength)
        else:
            assert torch.equal(made.factors[:, column], torch.ones(MANY))
    if strength:
        even(made.factors[:, 3], -strength, strength)
    else:
        assert not made.factors[:, 3].any()
    corner = torch.corrcoef(made.factors.T) if strength else torch.eye(4)
    assert (corner - torch.eye(4)).abs().max() < 0.05, "drawn one by one"
