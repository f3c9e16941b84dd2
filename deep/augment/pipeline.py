"""Augmentation of a whole batch where the data lie, each image with strengths of its own.

    B batch   C channels   H W height, width    images (B, C, H, W) float in [0, 1]    strengths (B,)

`draw` takes strengths by the published names and makes the random numbers, `apply` is a pure function of images and
draws. The order is the published one: flip, crop, affine map, colour jitter,
normalisation, cutout, input dropout, input scale (MacKay et al. 2019; Bae & Grosse 2020 for flip and affine map).
No device is read. A group (jitters, affine map, ...) of which no strength is given costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from deep.augment.colour import Jitter, draw_jitter, jitter
from deep.augment.draws import LEVELS, along, levels, uniform, unit
from deep.augment.geometry import Affine, AffineStrengths, affine, draw_affine, draw_flip, draw_shifts, flip, shift
from hyperopt_hn.errors import UserError

JITTERS = ("bright", "contrast", "sat", "hue")
AFFINE = ("degrees", "shear", "scale", "translate")
NAMES = ("flip", "crop", *AFFINE, *JITTERS, "cutlength", "cutholes", "indropout", "inscale")
"""flip: chance; crop: pixels; degrees, shear: degrees; translate: share of the side; cutlength: pixels; cutholes:
patches (1 if only their length is given); indropout: rate; the others: half-widths of their factor's range."""
MOST_HOLES = 5
"""Patches that cutout can make (Delta-STN's range ends there); more would only cost time."""
LEAST_KEPT = 1e-3
"""Input dropout's share of kept values counts as at least this much, so that 1 / (1 - p) stays finite at p = 1."""
Strengths = Mapping[str, Tensor | float]


@dataclass(frozen=True)
class Normal:
    """What images are normalised by: mean and standard deviation of each channel, on the scale of [0, 1]."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]


CIFAR_NORMAL = Normal((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255))


@dataclass(frozen=True, eq=False)
class Cutout:
    """Square patches to be blanked in each image, of which some reach over the edge."""

    rows: Tensor
    """(B, holes) int64: each patch's first row, may be negative."""
    columns: Tensor
    """(B, holes) int64."""
    lengths: Tensor
    """(B,): the patches' side in pixels, whole."""
    counts: Tensor
    """(B,): how many of the patches count, whole."""


@dataclass(frozen=True, eq=False)
class Draws:
    """The random numbers of one batch; None where no strength was given."""

    mirrored: Tensor | None = None
    shifts: tuple[Tensor, Tensor] | None = None
    affine: Affine | None = None
    jitter: Jitter | None = None
    cutout: Cutout | None = None
    kept: Tensor | None = None
    """(B, C, H, W): what input dropout multiplies by."""
    factors: Tensor | None = None
    """(B,): what input scaling multiplies by."""


def draw(images: Tensor, strengths: Strengths, generator: torch.Generator) -> Draws:
    """The random numbers for a batch of these images' shape, type and device; each strength a scalar or (B,).

    Names outside NAMES are left to others, such as dropout rates.
    Raises UserError for a number of patches without their length.
    """
    if "cutholes" in strengths and "cutlength" not in strengths:
        raise UserError("cutholes is given without cutlength: give the patches a length")
    size, _, height, width = images.shape
    given = {name: _spread(strengths[name], images) for name in NAMES if name in strengths}
    none = images.new_zeros(size)
    moved = [given.get(name, none) for name in AFFINE]
    colours = torch.stack([given.get(name, none) for name in JITTERS], 1)
    cuts = given.get("cutlength", none), given.get("cutholes", none + 1.0)
    return Draws(
        mirrored=draw_flip(given["flip"], generator) if "flip" in given else None,
        shifts=draw_shifts(given["crop"], generator) if "crop" in given else None,
        affine=draw_affine(AffineStrengths(*moved), (height, width), generator) if _any(AFFINE, given) else None,
        jitter=draw_jitter(colours, generator) if _any(JITTERS, given) else None,
        cutout=draw_cutout(*cuts, (height, width), generator) if "cutlength" in given else None,
        kept=draw_kept(images, given["indropout"], generator) if "indropout" in given else None,
        factors=draw_scale(given["inscale"], generator) if "inscale" in given else None,
    )


def apply(images: Tensor, draws: Draws, normal: Normal | None = None) -> Tensor:
    """The images changed by these draws, in the published order."""
    out = images
    if draws.mirrored is not None:
        out = flip(out, draws.mirrored)
    if draws.shifts is not None:
        out = shift(out, *draws.shifts)
    if draws.affine is not None:
        out = affine(out, draws.affine)
    if draws.jitter is not None:
        out = jitter(out, draws.jitter)
    if normal is not None:
        out = normalise(out, normal)
    if draws.cutout is not None:
        out = cutout(out, draws.cutout)
    if draws.kept is not None:
        out = out * draws.kept
    if draws.factors is None:
        return out
    return out * along(draws.factors, out) if draws.kept is None else out.mul_(along(draws.factors, out))


def normalise(images: Tensor, normal: Normal) -> Tensor:
    """(images - mean) / sd, channel by channel. Raises ValueError for another number of channels.

    The numbers are filled in on the device: a copy from the host would wait for it and cannot be captured in a graph.
    """
    if images.shape[1] != len(normal.mean):
        raise ValueError(f"images have {images.shape[1]} channels but the normalisation has {len(normal.mean)}")
    mean, sd = (torch.stack([images.new_full((), v) for v in each]).view(-1, 1, 1) for each in (normal.mean, normal.sd))
    return (images - mean).div_(sd)  # in place: one more array of this size costs a CPU more than the division


def draw_cutout(lengths: Tensor, counts: Tensor, side: tuple[int, int], generator: torch.Generator) -> Cutout:
    """Patches whose centres are uniform over the pixels (DeVries & Taylor 2017); floors lengths and counts.

    A patch of length L begins floor(L / 2) before its centre and is L long. (The published code loses a row and a
    column of odd lengths; even ones are the same.)
    """
    lengths = lengths.floor()
    places = unit((2, len(lengths), MOST_HOLES), lengths, generator)
    half = (lengths / 2.0).floor().unsqueeze(1)
    rows, columns = ((places[i] * side[i]).floor().clamp_max(side[i] - 1) - half for i in (0, 1))
    return Cutout(rows.to(torch.int64), columns.to(torch.int64), lengths, counts.floor().clamp_max(MOST_HOLES))


def cutout(images: Tensor, draw: Cutout) -> Tensor:
    """The images with their patches set to 0, which after normalisation is the mean colour."""
    _, _, height, width = images.shape
    holes = torch.arange(draw.rows.shape[1], device=images.device)
    rows = _covered(draw.rows, draw.lengths, height) & (holes < draw.counts.unsqueeze(1)).unsqueeze(2)
    columns = _covered(draw.columns, draw.lengths, width)
    # (B, H, holes) @ (B, holes, W): how many patches cover a pixel
    covers = torch.bmm(rows.to(images.dtype).transpose(1, 2), columns.to(images.dtype))
    return images * (covers < 0.5).to(images.dtype).unsqueeze(1)


def draw_kept(images: Tensor, rates: Tensor, generator: torch.Generator) -> Tensor:
    """(B, C, H, W): 0 with each image's rate, value by value, else 1 / (1 - rate).

    The rate is rounded to 1 / 32768, and the factor is the rounded rate's, so that the mean is kept.
    """
    dropped = (rates * LEVELS).round().clamp(0, LEVELS * (1.0 - LEAST_KEPT)).floor()
    kept = levels(tuple(images.shape), images, generator).to(torch.float32).ge_(along(dropped.float(), images))
    return kept.mul_(along(LEVELS / (LEVELS - dropped.float()), images)).to(images.dtype)


def draw_scale(strengths: Tensor, generator: torch.Generator) -> Tensor:
    """(B,): one factor for each image, U[1 / (1 + s), 1 + s]."""
    return uniform(1.0 / (1.0 + strengths), 1.0 + strengths, generator)


def _covered(first: Tensor, lengths: Tensor, side: int) -> Tensor:
    """(B, holes, side) bool: the pixels from `first` (B, holes) on, `lengths` (B,) of them."""
    distance = torch.arange(side, device=first.device) - first.unsqueeze(2)
    return (distance >= 0) & (distance < lengths.view(-1, 1, 1))


def _spread(strength: Tensor | float, images: Tensor) -> Tensor:
    if isinstance(strength, Tensor):
        return strength.detach().to(images.dtype).expand(len(images))
    return torch.full((len(images),), strength, dtype=images.dtype, device=images.device)


def _any(names: tuple[str, ...], given: Mapping[str, Tensor]) -> bool:
    return any(name in given for name in names)
