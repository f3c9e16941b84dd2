"""Flips, crops and affine maps on a batch, each image with draws of its own.

    B batch   C channels   H W height, width    images (B, C, H, W) float    strengths and draws (B,)

Pure functions, no device read, nothing drawn but where a generator is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from deep.augment.draws import along, uniform, unit


def draw_flip(chances: Tensor, generator: torch.Generator) -> Tensor:
    """(B,) bool: whether each image is mirrored, with its own chance."""
    return unit(tuple(chances.shape), chances, generator) < chances


def flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """The chosen images with left and right exchanged."""
    return torch.where(along(mirrored, images), images.flip(-1), images)


def draw_shifts(reach: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pixels (B,) int64 down and right, uniform on the whole numbers from -reach to reach (floored)."""
    most = reach.floor()
    steps = (unit((2, *reach.shape), reach, generator) * (2.0 * most + 1.0)).floor() - most
    steps = torch.minimum(steps, most).to(torch.int64)  # a product may round up to the next whole number
    return steps[0], steps[1]


def shift(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image moved by whole pixels, black where nothing comes in: what a crop from a padded image shows."""
    size, _, height, width = images.shape
    rows = torch.arange(height, device=images.device) - down.view(-1, 1)  # (B, H)
    columns = torch.arange(width, device=images.device) - right.view(-1, 1)  # (B, W)
    inside = (_within(rows, height).unsqueeze(2) & _within(columns, width).unsqueeze(1)).unsqueeze(1)
    batch = torch.arange(size, device=images.device).view(-1, 1, 1)
    rows, columns = rows.clamp(0, height - 1).unsqueeze(2), columns.clamp(0, width - 1).unsqueeze(1)
    moved = images[batch, :, rows, columns].permute(0, 3, 1, 2)  # (B, H, W, C) -> (B, C, H, W)
    return torch.where(inside, moved, 0.0)


@dataclass(frozen=True, eq=False)
class Affine:
    """How each image is mapped about its centre, (B,) each; a dataclass of tensors, so that it can be passed in."""

    angle: Tensor
    """Degrees, clockwise."""
    shear: Tensor
    """Degrees along x."""
    scale: Tensor
    """Factor, above 0."""
    right: Tensor
    """Pixels."""
    down: Tensor
    """Pixels."""


@dataclass(frozen=True, eq=False)
class AffineStrengths:
    """How strong each image's map is, (B,) each; 0 is none."""

    degrees: Tensor
    shear: Tensor
    """Degrees."""
    scale: Tensor
    """Factors lie in [1 - s, 1 + s], below 1."""
    translate: Tensor
    """Share of the image's height and width."""


def draw_affine(strengths: AffineStrengths, side: tuple[int, int], generator: torch.Generator) -> Affine:
    """Angle and shear U(-s, s), scale U(1 - s, 1 + s), shifts U(-s, s) of the side in whole pixels.

    RandomAffine's distributions (Delta-STN tunes their four strengths); `side` is the images' (H, W).
    """
    s = strengths
    reach = torch.stack((s.degrees, s.shear, s.scale, s.translate * side[1], s.translate * side[0]))
    drawn = uniform(-reach, reach, generator)
    return Affine(drawn[0], drawn[1], 1.0 + drawn[2], drawn[3].round(), drawn[4].round())


def affine(images: Tensor, draw: Affine, mode: str = "bilinear") -> Tensor:
    """Each image turned, sheared, scaled and moved about its centre, black outside; `mode` as in `grid_sample`.

    Bilinear by default; the published Delta-STN left RandomAffine at "nearest", which jumps as a strength grows.

    The map is move . scale . turn . shear; `grid_sample` wants its inverse, in coordinates from -1 to 1.
    """
    size, _, height, width = images.shape
    turn, slope = torch.deg2rad(draw.angle), torch.tan(torch.deg2rad(draw.shear))
    cos, sin = torch.cos(turn) / draw.scale, torch.sin(turn) / draw.scale
    # inverse of scale [[cos, -sin], [sin, cos]] [[1, -slope], [0, 1]]
    xx, xy = cos - slope * sin, sin + slope * cos
    yx, yy = -sin, cos
    left, up = -draw.right, -draw.down
    rows = (
        torch.stack((xx, xy * (height / width), (xx * left + xy * up) * (2.0 / width)), -1),
        torch.stack((yx * (width / height), yy, (yx * left + yy * up) * (2.0 / height)), -1),
    )
    grid = F.affine_grid(torch.stack(rows, 1), [size, 1, height, width], align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def _within(index: Tensor, size: int) -> Tensor:
    return (index >= 0) & (index < size)
