"""Random numbers for a batch, on the data's device and from an explicit generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEVELS = 1 << 15


def unit(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """U[0, 1) of this shape, of the type and on the device of `like` (which the generator must be on)."""
    return torch.rand(shape, dtype=like.dtype, device=like.device, generator=generator)


def uniform(low: Tensor, high: Tensor, generator: torch.Generator) -> Tensor:
    """U[low, high), element by element."""
    return torch.lerp(low, high, unit(tuple(low.shape), low, generator))


def levels(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform on 0..LEVELS - 1, int16, on the device of `like`.

    Four of them from one 64-bit number: on a CPU the generator is the dear part of a mask over all pixels.
    """
    count = math.prod(shape)
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device).random_(generator=generator)
    return words.view(torch.int16)[:count].bitwise_and_(LEVELS - 1).view(shape)


def along(each: Tensor, images: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1), to be spread over images (B, C, H, W)."""
    return each.view(-1, *(1,) * (images.dim() - 1))
