"""Random erasing (Cutout) of a batch of images, each with a square of its own size. Source: DeVries & Taylor 2017."""

from __future__ import annotations

import torch
from torch import Tensor


def erased(images: Tensor, top: Tensor, left: Tensor, side: Tensor) -> Tensor:
    """Each image with the rows [top, top + side) of the columns [left, left + side) set to zero; whole numbers (B,)."""
    rows = torch.arange(images.shape[-2], device=images.device)
    columns = torch.arange(images.shape[-1], device=images.device)
    inside_rows = (rows >= top[:, None]) & (rows < (top + side)[:, None])
    inside_columns = (columns >= left[:, None]) & (columns < (left + side)[:, None])
    return images.masked_fill((inside_rows[:, :, None] & inside_columns[:, None, :])[:, None], 0)


def random_erase(images: Tensor, side: Tensor | float, generator: torch.Generator | None = None) -> Tensor:
    """Each image with a square of its own `side` (pixels, rounded; 0: none) set to zero at an even random place.

    images (B, C, H, W), side (B,) or (). The square's centre is anywhere in the image, so that it may stick out.
    For a training loss: model(random_erase(batch[0], h["side"])).
    """
    count, (height, width) = len(images), images.shape[-2:]
    size = torch.as_tensor(side, device=images.device).detach().round().long().expand(count)
    unit = torch.rand(2, count, generator=generator, device=images.device)
    top = (unit[0] * height).long() - size // 2
    left = (unit[1] * width).long() - size // 2
    return erased(images, top, left, size)
