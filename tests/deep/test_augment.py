"""Augmentation: each function against torchvision's for one image, the identity at strength 0, the distributions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
F = pytest.importorskip("torchvision.transforms.functional")

from deep import colour, geometry  # noqa: E402
from deep.augment import (  # noqa: E402
    CIFAR_NORMAL,
    MOST_HOLES,
    NAMES,
    Cutout,
    Draws,
    Normal,
    apply,
    augment,
    cutout,
    draw,
    draw_cutout,
    draw_kept,
    draw_scale,
    normalise,
)
from deep.draws import LEVELS, levels  # noqa: E402
from deep.geometry import Affine, AffineStrengths  # noqa: E402
from hyperopt_hn.errors import UserError  # noqa: E402

NEAR = {"atol": 1e-5, "rtol": 0.0}
MANY = 20_000
SEEDS = st.integers(0, 2**31)
FEW = settings(max_examples=15, deadline=None)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(seed, size=5, channels=3, height=9, width=11):
    """Images with flat and saturated spots: greys, black, white and pure colours beside noise."""
    images = torch.rand(size, channels, height, width, generator=source(seed))
    images[:, :, 0] = images[:, :1, 0]
    images[:, :, 1] = (images[:, :, 1] > 0.5).float()
    return images


def each(function, images, *factors):
    return torch.stack([function(image, *(float(f[i]) for f in factors)) for i, image in enumerate(images)])


# colour

COLOURS = [
    (colour.brightness, F.adjust_brightness, 0.0, 2.0),
    (colour.contrast, F.adjust_contrast, 0.0, 2.0),
    (colour.saturation, F.adjust_saturation, 0.0, 2.0),
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


@pytest.mark.parametrize(("mine", "same"), [(c[0], 0.0 if c[0] is colour.hue else 1.0) for c in COLOURS])
def test_colours_at_their_neutral_factor(mine, same):
    images = batch(0)
    torch.testing.assert_close(mine(images, torch.full((5,), same)), images, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("channels", [1, 3])
@FEW
@given(seed=SEEDS, size=st.integers(1, 11))
def test_jitter_is_torchvisions_in_each_images_order(channels, seed, size):
    images = batch(seed, size, channels)
    made = colour.draw_jitter(torch.rand(size, 4, generator=source(seed)) * 0.5, source(seed + 1))
    orders = made.orders()
    assert torch.equal(orders.sort(1).values, torch.arange(4).expand(size, 4))
    truth = []
    for image, order, factors in zip(images, orders.tolist(), made.factors.tolist(), strict=True):
        for step in order:
            image = COLOURS[step][1](image, factors[step])
        truth.append(image)
    torch.testing.assert_close(colour.jitter(images, made), torch.stack(truth), **NEAR)


def test_every_order_of_the_jitter_is_as_likely():
    made = colour.draw_jitter(torch.ones(MANY, 4), source())
    codes = made.orders() @ torch.tensor([64, 16, 4, 1])
    counts = torch.unique(codes, return_counts=True)[1].double()
    assert len(counts) == math.factorial(4)
    assert (counts / MANY - 1 / 24).abs().max() < 5 * math.sqrt(1 / 24 / MANY)
    generator = source(1)
    several = torch.stack([colour.draw_jitter(torch.ones(8, 4), generator).orders() for _ in range(400)])
    last = int((several[:, 0, 3] == 3).sum())
    assert 60 < last < 140, "hue comes last for the first image in a quarter of the batches"
    assert not torch.equal(several[0], several[0, 0].expand(8, 4)), "one order for each image"


def even(values, low, high, tolerance=5.0):
    """Whether values look uniform on [low, high]: their bounds, mean and variance, within 5 standard errors."""
    assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
    shares = (values.double() - low) / (high - low)
    error = tolerance / math.sqrt(len(values))
    assert abs(float(shares.mean()) - 0.5) < error * math.sqrt(1 / 12)
    assert abs(float((shares - 0.5).square().mean()) - 1 / 12) < error * math.sqrt(1 / 180)


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


# geometry


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


# what hides and scales


@FEW
@given(seed=SEEDS)
def test_cutout_is_torchvisions_erase(seed):
    images = batch(seed)
    lengths, counts = (torch.rand(2, 5, generator=source(seed)) * torch.tensor([[12.0], [6.0]])).unbind()
    made = draw_cutout(lengths, counts, (9, 11), source(seed))
    truth = images.clone()
    for i in range(5):
        length = int(lengths[i])
        assert made.counts[i] == min(int(counts[i]), MOST_HOLES) and made.lengths[i] == length
        for hole in range(int(counts[i])):
            if hole < MOST_HOLES and length:
                row, column = int(made.rows[i, hole]), int(made.columns[i, hole])
                assert 0 <= row + length // 2 < 9 and 0 <= column + length // 2 < 11
                top, left = max(row, 0), max(column, 0)
                truth[i] = F.erase(
                    truth[i], top, left, min(row + length, 9) - top, min(column + length, 11) - left, 0.0
                )
    assert torch.equal(cutout(images, made), truth)


def test_cutouts_centres_are_uniform_and_its_cover_is_known():
    made = draw_cutout(torch.full((MANY,), 4.9), torch.full((MANY,), 1.0), (8, 8), source())
    centres = torch.bincount((made.rows[:, 0] + 2) * 8 + made.columns[:, 0] + 2, minlength=64).double() / MANY
    assert (centres - 1 / 64).abs().max() < 5 * math.sqrt(1 / 64 / MANY)
    covered = (cutout(torch.ones(MANY, 1, 8, 8), made) == 0).double().mean((0, 1))
    row = torch.tensor([min(i + 2, 7) - max(i - 1, 0) + 1 for i in range(8)]).double() / 8
    assert (covered - torch.outer(row, row)).abs().max() < 0.02, "in the middle 1/4, in a corner 9/64"


def test_cutout_counts_holes_for_each_image():
    draw_ = Cutout(*(torch.tensor([[0, 3]]).expand(3, 2) for _ in range(2)), torch.full((3,), 2.0), torch.arange(3.0))
    blank = (cutout(torch.ones(3, 3, 6, 6), draw_) == 0).sum((1, 2, 3))
    assert blank.tolist() == [0, 12, 24]
    edge = Cutout(torch.tensor([[-1]]), torch.tensor([[5]]), torch.tensor([3.0]), torch.tensor([1.0]))
    assert (cutout(torch.ones(1, 1, 6, 6), edge) == 0).sum() == 2, "a patch over the edge is cut off"


def test_input_dropout_has_each_images_rate_and_keeps_the_mean():
    rates = torch.tensor([0.0, 0.3, 0.9, 1.0])
    kept = draw_kept(torch.ones(4, 3, 80, 80), rates, source())
    assert torch.equal(kept[0], torch.ones(3, 80, 80))
    for share, rate in zip(kept[1:3], rates[1:3], strict=True):
        assert abs(float((share == 0).double().mean()) - rate) < 0.02 and abs(float(share.mean()) - 1.0) < 0.1
        assert torch.unique(share).tolist() == pytest.approx([0.0, 1.0 / (1.0 - float(rate))], rel=1e-3)
    assert torch.isfinite(kept).all()


def test_the_levels_behind_input_dropout_are_uniform_and_apart():
    found = levels((4 * MANY + 3,), torch.ones(1), source())
    even(found.double(), 0.0, LEVELS - 1.0)
    lanes = found[: 4 * MANY].view(-1, 4).double()
    for lane in lanes.unbind(1):
        even(lane, 0.0, LEVELS - 1.0)
    assert (torch.corrcoef(lanes.T) - torch.eye(4)).abs().max() < 0.03


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.3])
def test_input_scale(strength):
    factors = draw_scale(torch.full((MANY,), strength), source())
    if strength:
        even(factors, 1 / (1 + strength), 1 + strength)
    else:
        assert torch.equal(factors, torch.ones(MANY))


def test_normalise_is_torchvisions():
    images = batch(0)
    truth = each(lambda image: F.normalize(image, list(CIFAR_NORMAL.mean), list(CIFAR_NORMAL.sd)), images)
    torch.testing.assert_close(normalise(images, CIFAR_NORMAL), truth, **NEAR)
    with pytest.raises(ValueError, match="3 channels but the normalisation has 1"):
        normalise(images, Normal((0.1,), (0.2,)))


# all together

ALL = dict.fromkeys(NAMES, 0.2) | {"cutlength": 4.0, "cutholes": 2.0, "degrees": 15.0, "shear": 5.0, "crop": 2.0}


@pytest.mark.parametrize("channels", [1, 3])
def test_no_strength_is_the_identity(channels):
    images = batch(0, channels=channels)
    torch.testing.assert_close(augment(images, dict.fromkeys(NAMES, 0.0), source()), images, **NEAR)
    assert augment(images, {"dropout0": 0.5}, source()) is images, "names of others are left to them"


def test_one_strength_for_each_image():
    """With the first image's strengths at 0 it stays as it is, and the others change."""
    images = batch(0, 40)
    strengths = {name: torch.full((40,), float(value)) for name, value in ALL.items()}
    for strength in strengths.values():
        strength[0] = 0.0
    moved = (augment(images, strengths, source()) - images).abs().amax((1, 2, 3))
    assert moved[0] < 1e-5 and (moved[1:] > 1e-3).all()


def test_a_scalar_is_the_same_strength_for_all():
    images = batch(0)
    spread = {name: torch.full((5,), float(value)) for name, value in ALL.items()}
    assert torch.equal(augment(images, ALL, source(3)), augment(images, spread, source(3)))


def test_draws_repeat_with_the_generator_and_differ_without():
    images = batch(0)
    generator = source(3)
    first, second = augment(images, ALL, generator), augment(images, ALL, generator)
    assert torch.equal(first, augment(images, ALL, source(3))) and not torch.equal(first, second)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    augment(images, ALL, generator)
    assert torch.equal(torch.get_rng_state(), state), "no draw from the global generator"


def test_patches_need_a_length():
    with pytest.raises(UserError, match="give the patches a length"):
        draw(batch(0), {"cutholes": 2.0}, source())
    assert int(draw(batch(0), {"cutlength": 2.0}, source()).cutout.counts[0]) == 1


def test_apply_runs_in_the_published_order():
    images = batch(0, height=8, width=8)
    made = draw(images, ALL, source(5))
    assert made.affine is not None and made.jitter is not None and made.cutout is not None and made.shifts is not None
    out = geometry.affine(geometry.shift(geometry.flip(images, made.mirrored), *made.shifts), made.affine)
    out = cutout(normalise(colour.jitter(out, made.jitter), CIFAR_NORMAL), made.cutout)
    out = out * made.kept * made.factors.view(-1, 1, 1, 1)
    assert torch.equal(apply(images, made, CIFAR_NORMAL), out)
    assert torch.equal(apply(images, Draws(), CIFAR_NORMAL), normalise(images, CIFAR_NORMAL))


def test_strengths_get_no_gradient():
    strengths = {name: torch.full((5,), float(value), requires_grad=True) for name, value in ALL.items()}
    assert not augment(batch(0), strengths, source()).requires_grad


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_kinds_of_numbers(kind):
    images = batch(0).to(kind)
    out = augment(images, ALL, source(), CIFAR_NORMAL)
    assert out.dtype == kind and out.shape == images.shape and torch.isfinite(out).all()


def test_apply_is_one_graph():
    """What torch.compile sees: no break and no read of the device, for the draws and for their application."""
    images = batch(0, 8, height=8, width=8)
    made = draw(images, ALL, source(5))
    plain = apply(images, made, CIFAR_NORMAL)
    traced = torch.compile(lambda x: apply(x, made, CIFAR_NORMAL), backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(images), plain)


@pytest.mark.gpu
def test_on_a_gpu_without_waiting():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images = batch(0, 32).cuda()
    generator = torch.Generator("cuda").manual_seed(0)
    strengths = {name: torch.full((32,), float(value), device="cuda") for name, value in ALL.items()}
    torch.cuda.set_sync_debug_mode("error")
    try:
        made = draw(images, strengths, generator)
        out = apply(images, made, CIFAR_NORMAL)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    host = apply(images.cpu(), _host(made), CIFAR_NORMAL)
    torch.testing.assert_close(out.cpu(), host, atol=1e-3, rtol=0.0)


def _host(made):
    """The draws on the CPU, fields and nested dataclasses alike."""
    if isinstance(made, torch.Tensor):
        return made.cpu()
    if isinstance(made, tuple):
        return tuple(map(_host, made))
    return None if made is None else type(made)(**{name: _host(value) for name, value in vars(made).items()})
