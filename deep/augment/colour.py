"""Colour jitter on a batch: brightness, contrast, saturation and hue, each image with factors of its own.

    B batch   C channels (1 or 3)   H W height, width    images (B, C, H, W) float in [0, 1]    factors (B,)

Pure functions, no device read, nothing drawn but where a generator is passed in. Each equals torchvision's
functional on one image at the same factor; grey images have neither saturation nor hue, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deep.augment.draws import along, uniform, unit

LUMA = (0.2989, 0.587, 0.114)  # shares of red, green and blue in grey (ITU-R BT.601, as PIL and torchvision round it)
NAMES = ("brightness", "contrast", "saturation", "hue")
BLENDS = 3  # the first three of NAMES mix the image with another one


def hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Each image's hue turned by a share of the circle, in [-0.5, 0.5]; lightness and chroma stay.

    With V the largest channel, c = V - min and t in [-3, 3] the hue in sixths of the circle (red 0, green 2, blue -2),
    |t| = 2 + (green + blue - red - V) / c and t has the sign of green - blue. Back: a channel is V - c dip(t - its own
    hue), where dip is 0 up to a sixth away, 1 from two sixths on and straight between. No branch and no mask, which
    on a CPU cost more than the arithmetic.
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)  # (B, H, W)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    safe = chroma.clamp_min(1e-12)  # where it is 0 the hue has no effect
    t = (
        (green + blue)
        .sub_(red)
        .sub_(value)
        .div_(safe)
        .add_(2.0)
        .copysign_(green - blue)
        .add_(6.0 * shifts.view(-1, 1, 1))
    )
    t = t.sub_((t / 6.0).round_(), alpha=6.0)
    dips = (away.sub_(1.0).clamp_(0.0, 1.0) for away in (t.abs(), _from(t, -1.0), _from(t, 1.0)))
    return torch.stack([torch.addcmul(value, chroma, dip, value=-1.0) for dip in dips], 1)


def _from(t: Tensor, opposite: float) -> Tensor:
    """Sixths between hues t in [-3, 3] and the hue that lies opposite to `opposite`, on the circle of 6."""
    return (t - opposite).abs_().sub_(3.0).abs_()


def grey(images: Tensor) -> Tensor:
    """The images in grey, (B, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, 1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


@dataclass(frozen=True, eq=False)
class Jitter:
    """What one batch's jitter is made of; a dataclass of tensors, so that draws can be passed in."""

    factors: Tensor
    """(B, 4): brightness, contrast, saturation, and the share by which the hue turns."""
    places: Tensor
    """(B,) int64: a permutation of the batch; its image in the i-th quarter meets hue after i of the blends."""
    blends: Tensor
    """(B, 3) int64: in which order image b meets brightness 0, contrast 1 and saturation 2."""


def draw_jitter(strengths: Tensor, generator: torch.Generator) -> Jitter:
    """Factors U(max(0, 1 - s), 1 + s), hue U(-s, s), and a random order for each image, as ColorJitter draws them.

    `strengths` (B, 4) in the order of NAMES. Orders are drawn for each image and not for the batch, because the
    published jitter does so, and because one order for 128 images would make the noise of a step's gradient depend
    on it. They are uniform for each image; across the batch, each place of hue is taken by a quarter of the images,
    so that hue is computed once for each image, in slices of fixed size that a compiler can see.
    """
    size = len(strengths)
    low = torch.cat((1.0 - strengths[:, :BLENDS], -strengths[:, BLENDS:]), 1)
    low[:, :BLENDS].clamp_min_(0.0)
    high = torch.cat((1.0 + strengths[:, :BLENDS], strengths[:, BLENDS:]), 1)
    factors = uniform(low, high, generator)
    ranks = unit((size, 1 + BLENDS), strengths, generator)
    return Jitter(factors, ranks[:, 0].argsort(), ranks[:, 1:].argsort(1))


def jitter(images: Tensor, draw: Jitter) -> Tensor:
    """Brightness, contrast, saturation and hue, each image with its own factors in its own order."""
    out = images.index_select(0, draw.places)  # a copy, with the quarters of hue's place in one piece each
    blends, factors = draw.blends[draw.places], draw.factors[draw.places]
    for place in range(BLENDS + 1):
        quarter = out.tensor_split(len(NAMES))[place]
        quarter.copy_(hue(quarter, factors[:, BLENDS].tensor_split(len(NAMES))[place]))
        if place < BLENDS:
            out = _blend(out, blends[:, place], factors[:, :BLENDS])
    return torch.empty_like(out).index_copy_(0, draw.places, out)


def _blend(images: Tensor, which: Tensor, factors: Tensor) -> Tensor:
    """One blend for each image: brightness, contrast or saturation by `which` (B,), with its factor of (B, 3)."""
    tones = grey(images)  # (B, 1, H, W)
    mean = tones.mean((-2, -1), keepdim=True)
    contrasted, saturated = (along(which == i, images).to(images.dtype) for i in (1, 2))
    other = torch.addcmul(mean * contrasted, tones, saturated)  # black for brightness
    return _mix(images, other, factors.gather(1, which.unsqueeze(1)).squeeze(1))


def _mix(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, along(factors, images)).clamp_(0.0, 1.0)
