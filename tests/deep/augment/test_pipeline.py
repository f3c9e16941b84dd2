"""Cutout, input dropout and scale against torchvision's or their law; the whole in the published order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

torch = pytest.importorskip("torch")
F = pytest.importorskip("torchvision.transforms.functional")

from deep.augment import colour, geometry  # noqa: E402
from deep.augment.draws import LEVELS, levels  # noqa: E402
from deep.augment.pipeline import (  # noqa: E402
    CIFAR_NORMAL,
    MOST_HOLES,
    NAMES,
    Cutout,
    Draws,
    Normal,
    apply,
    cutout,
    draw,
    draw_cutout,
    draw_kept,
    draw_scale,
    normalise,
)
from hyperopt_hn.errors import UserError  # noqa: E402
from tests.support.deep_cases import FEW, MANY, NEAR, SEEDS, augment, batch, each, even, source  # noqa: E402

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
