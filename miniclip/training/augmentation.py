"""What happens to pictures and captions before a training step: pictures are made small once, and
then randomly cropped, mirrored, changed in brightness and contrast, and partly hidden; captions
lose words. It is done for a whole batch at a time.

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


def erase(images: Tensor, share: float, chances: Tensor) -> Tensor:
    """Fill a rectangle with grey in some of the pictures (Zhong et al. 2020).

    Args:
        images: (B, 3, H, W) in [0, 1].
        share: the share of the pictures that lose a part.
        chances: random numbers in [0, 1), five for each picture: (5, B).
    Returns:
        (B, 3, H, W) in [0, 1].
    """
    H, W = images.shape[2:]
    picked, *places = to_device(chances.contiguous(), images.device)  # (B,) each
    # The sides of a rectangle are a fifth to a half of the picture's.
    height, width = (0.2 + 0.3 * chance for chance in places[:2])
    top, left = places[2] * (1 - height), places[3] * (1 - width)
    y = torch.arange(H, device=images.device).add(0.5).div(H)[:, None]  # (H, 1)
    x = torch.arange(W, device=images.device).add(0.5).div(W)[None]  # (1, W)
    column = lambda values: values[:, None, None]  # (B,) -> (B, 1, 1)
    hidden = (y >= column(top)) & (y < column(top + height))
    hidden = hidden & (x >= column(left)) & (x < column(left + width))  # (B, H, W)
    hidden = hidden & (column(picked) < share)
    return images.masked_fill(hidden[:, None], 0.5)


def keep_patches(patches: int, share: float, chances: Tensor) -> Tensor:
    """Choose the patches that a step looks at.

    Args:
        patches: N, how many each picture has.
        share: the share of them that is left out.
        chances: random numbers in [0, 1), one for each patch: (B, N).
    Returns:
        int64 (B, K), the numbers of the kept patches, ascending; at least one is kept.
    """
    K = max(1, round(patches * (1 - share)))
    return chances.argsort(dim=1)[:, :K].sort(dim=1).values


def drop_words(tokens: Tensor, end_token: int, share: float, chances: Tensor) -> Tensor:
    """Leave tokens out of captions, but neither the first one (the start mark) nor the end mark.

    Args:
        tokens: int64 token ids (B, T), padded with 0 after the end mark.
        end_token: id of the end mark.
        share: the share of tokens to leave out.
        chances: random numbers in [0, 1), one for each token: (B, T).
    Returns:
        (B, T), the rest of each caption, moved together and padded with 0.
    """
    dropped = (chances < share) & (tokens != end_token)
    dropped[:, 0] = False
    order = dropped.int().argsort(dim=1, stable=True)  # what stays first, in its old order
    return tokens.masked_fill(dropped, 0).gather(1, order)


def to_device(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """An array as a tensor on a device. It reaches a GPU through pinned memory, so that the
    program need not wait for the copy."""
    tensor = (
        values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    )
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
