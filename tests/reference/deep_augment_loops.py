"""Augmentation as the published code does it: image by image through PIL or torchvision, one read per strength.

Takes the draws of `deep.augment` (an outside input here, so that both sides compute the same numbers) and follows
the published order: colour jitter, tensor, normalisation, cutout; then input dropout and scale on the batch.
"""

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image

from tests.support.deep_cases import orders

STEPS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def augment(images, draws, normal, pil):
    """uint8 images (B, H, W, C) as an array -> normalised float tensor (B, C, H, W)."""
    order = orders(draws.jitter)
    out = torch.stack([one(image, draws, order, i, normal, pil) for i, image in enumerate(images)])
    return out * draws.kept * draws.factors.view(-1, 1, 1, 1)


def one(image, draws, order, i, normal, pil):
    image = Image.fromarray(image) if pil else torch.from_numpy(image).permute(2, 0, 1).float() / 255
    for step in order[i].tolist():
        image = STEPS[step](image, draws.jitter.factors[i, step].item())
    image = F.normalize(F.to_tensor(image) if pil else image, normal.mean, normal.sd)
    _, height, width = image.shape
    mask = np.ones((height, width), np.float32)
    length = int(draws.cutout.lengths[i].item())
    for hole in range(int(draws.cutout.counts[i].item())):
        row, column = draws.cutout.rows[i, hole].item(), draws.cutout.columns[i, hole].item()
        mask[max(row, 0) : max(row + length, 0), max(column, 0) : max(column + length, 0)] = 0.0
    return image * torch.from_numpy(mask)
