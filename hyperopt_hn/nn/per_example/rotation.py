"""Random rotation of a batch of images, each within its own angle."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Each image turned counter-clockwise about its centre by its own angle; bilinear, zero outside.

    images (B, C, H, W) floating, degrees (B,) or (). Differentiable in the images.
    """
    angle = torch.deg2rad(degrees.detach().to(images)).expand(len(images))
    height, width = images.shape[-2:]
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # the grid's units are half a height and half a width: a turn of a picture that is not square needs their ratio
    rows = [torch.stack([cos, -sin * height / width, zero], -1), torch.stack([sin * width / height, cos, zero], -1)]
    grid = affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def random_rotate(images: Tensor, degrees: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """Each image turned by an angle drawn evenly from ± its own `degrees`; images (B, C, H, W), degrees (B,) or ().

    For a training loss: model(random_rotate(batch[0], h["degrees"])).
    """
    most = torch.as_tensor(degrees, device=images.device)
    unit = torch.rand(len(images), generator=generator, device=images.device)
    return rotated(images, most * (2 * unit - 1))
