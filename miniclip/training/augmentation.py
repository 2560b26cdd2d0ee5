"""What happens to pictures before a training step: they are made small once, and then randomly
cropped, mirrored, and changed in brightness and contrast, a whole batch at a time on the device.

Taught in notebook 02.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def downsample(images: np.ndarray, size: int, crop: float, room: float = 1.15) -> np.ndarray:
    """Make the pictures of a set smaller if they are much larger than the model needs.

    Args:
        images: uint8 (n, H, W, 3).
        size: height and width that the model reads.
        crop: as in `Recipe`; below 1 some room is left for random crops.
        room: how much larger than `size` the pictures then are.
    Returns:
        uint8 (n, S, S, 3), or `images` itself if it is about that size already.
    """
    side = size if crop == 1 else round(size * room)
    if (
        images.shape[1] <= side * 1.1
        and images.shape[1] == images.shape[2]
        and (images.shape[1] == size or crop < 1)
    ):
        return images
    small = np.empty((len(images), side, side, 3), np.uint8)
    for start in range(0, len(images), 256):
        x = torch.from_numpy(np.array(images[start : start + 256])).permute(0, 3, 1, 2).float()
        x = F.interpolate(x, (side, side), mode="bicubic", antialias=True).round().clamp(0, 255)
        small[start : start + 256] = x.permute(0, 2, 3, 1).byte().numpy()
    return small


def augment(images: Tensor, size: int, recipe, chances: Tensor) -> Tensor:
    """Crop, mirror and change brightness and contrast at random.

    Args:
        images: (B, 3, H, W) in [0, 1].
        size: height and width of the result.
        recipe: a `Recipe`; its crop, flip and jitter say how much.
        chances: random numbers in [0, 1), six for each picture: (6, B). They are drawn outside,
            so that every device sees the same crops.
    Returns:
        (B, 3, size, size) in [0, 1].
    """
    B, device = len(images), images.device
    if recipe.crop < 1 or recipe.flip:
        side = (recipe.crop + (1 - recipe.crop) * chances[0]).sqrt()  # of the crop, as a share
        x, y = (1 - side) * (2 * chances[1:3] - 1)  # its centre in [-1, 1]
        mirror = 1 - 2 * (chances[3] < 0.5).float() if recipe.flip else torch.ones(B)
        zero = torch.zeros(B)
        theta = torch.stack(
            [torch.stack([side * mirror, zero, x], 1), torch.stack([zero, side, y], 1)], 1
        )  # (B, 2, 3)
        grid = F.affine_grid(to_device(theta, device), [B, 3, size, size], align_corners=False)
        images = F.grid_sample(
            images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
    if recipe.jitter:
        brightness, contrast = (
            1 + recipe.jitter * (2 * to_device(chances[4:].contiguous(), device) - 1)
        ).view(2, B, 1, 1, 1)
        middle = images.mean(dim=(1, 2, 3), keepdim=True)
        images = ((images - middle) * contrast + middle * brightness).clamp(0, 1)
    return images


def to_device(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """An array as a tensor on a device. It reaches a GPU through pinned memory, so that the
    program need not wait for the copy."""
    tensor = (
        values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    )
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
