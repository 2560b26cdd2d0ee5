"""The paper's other image tower: a ResNet with three changes, after which one token asks all
places of the picture (paper 2.4).

Against He et al. 2016 it has a stem of three convolutions instead of one, averages before it
steps down instead of skipping pixels (Zhang 2019), and ends in attention instead of a mean. Names
are those of the paper's code, so that its weights fit.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miniclip.attention import attend
from miniclip.batch_norm import BatchNorm2d
from miniclip.config import CLIPConfig


class Bottleneck(nn.Module):
    """Narrow, look around, widen again; added to what came in. Steps down by averaging, where
    `stride` is 2."""

    def __init__(self, inside: int, width: int, stride: int):
        super().__init__()
        wide = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inside, width, 1, bias=False), BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, wide, 1, bias=False), BatchNorm2d(wide)
        self.step = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = None
        if stride > 1 or inside != wide:
            self.downsample = nn.Sequential(
                OrderedDict(
                    [
                        ("-1", nn.AvgPool2d(stride)),
                        ("0", nn.Conv2d(inside, wide, 1, bias=False)),
                        ("1", BatchNorm2d(wide)),
                    ]
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(self.step(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    """One query, the mean of all places, gathers from the places what the picture is."""

    def __init__(self, side: int, width: int, heads: int, embed_dim: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(side * side + 1, width) * width**-0.5)
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, embed_dim)

    def gather(self, x: Tensor) -> Tensor:
        """(B, D, H, W) -> (B, D), before the projection."""
        x = x.flatten(2).transpose(1, 2)  # (B, N, D)
        x = (
            torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding
        )  # (B, 1 + N, D)
        q, k, v = (
            linear(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear, y in ((self.q_proj, x[:, :1]), (self.k_proj, x), (self.v_proj, x))
        )
        return attend(q, k, v, None).transpose(1, 2).flatten(1)


class ResNet(nn.Module):
    """The image tower as a modified ResNet; `config.resnet` has the number of blocks in each of
    its four stages."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width = config.vision_width
        self.conv1, self.bn1 = (
            nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False),
            BatchNorm2d(width // 2),
        )
        self.conv2, self.bn2 = (
            nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False),
            BatchNorm2d(width // 2),
        )
        self.conv3, self.bn3 = (
            nn.Conv2d(width // 2, width, 3, padding=1, bias=False),
            BatchNorm2d(width),
        )
        inside = width
        for stage, blocks in enumerate(config.resnet):
            made = []
            for block in range(blocks):
                made.append(
                    Bottleneck(inside, width << stage, stride=2 if stage and not block else 1)
                )
                inside = 4 * width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.attnpool = AttentionPool(
            config.image_size // 32, 32 * width, config.vision_heads, config.embed_dim
        )
        for block in (block for block in self.modules() if isinstance(block, Bottleneck)):
            nn.init.zeros_(block.bn3.weight)  # each block starts by adding nothing
        for linear in (
            self.attnpool.q_proj,
            self.attnpool.k_proj,
            self.attnpool.v_proj,
            self.attnpool.c_proj,
        ):
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)

    def tokens(self, images: Tensor) -> Tensor:
        """What the last stage says of each place: (B, 3, H, W) -> (B, N, D)."""
        return self._stages(images).flatten(2).transpose(1, 2)

    def _stages(self, images: Tensor) -> Tensor:
        x = images
        for number in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        x = F.avg_pool2d(x, 2)
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
        return x  # (B, 32 width, H / 32, W / 32)

    def features(self, images: Tensor) -> Tensor:
        """What a picture is before it is projected into the shared space, as linear probes take
        it: (B, 3, H, W) -> (B, D)."""
        return self.attnpool.gather(self._stages(images))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, E), not yet of unit length."""
        return self.attnpool.c_proj(self.features(images))
