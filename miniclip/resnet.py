"""The paper's other image tower: a ResNet with three changes, the last of which is attention
pooling (paper 2.4).

Compared with He et al. 2016 it starts with three convolutions instead of one, it averages
neighbouring pixels before it halves the picture instead of skipping pixels (Zhang 2019), and it
ends with attention instead of a mean over all places. Layers are named as in the paper's code, so
that its weights fit.

A comment behind a line gives the shape of its result: B batch, D width, E embedding, N places.
For feature maps, C counts channels, and H and W are height and width. Notebook 02 compares this
tower with the vision transformer.
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
    """A residual block: narrow the channels, look at the neighbours, widen the channels again,
    and add the input.

    Args:
        inside: channels of the input.
        width: channels of the narrow middle; the output has 4 * width.
        stride: 2 halves height and width (by averaging), 1 keeps them.
    """

    def __init__(self, inside: int, width: int, stride: int):
        super().__init__()
        wide = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inside, width, 1, bias=False), BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, wide, 1, bias=False), BatchNorm2d(wide)
        self.step = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = None
        if stride > 1 or inside != wide:
            # The input cannot be added as it is: bring it to the output's size and channels. The
            # odd names "-1", "0" and "1" are those of the paper's code.
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
        """(B, C, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))  # (B, width, H, W)
        y = F.relu(self.bn2(self.conv2(y)))  # (B, width, H, W)
        y = self.bn3(self.conv3(self.step(y)))  # (B, 4 width, H / stride, W / stride)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    """Attention pooling: the mean over all places is the one query, and it gathers from the places
    what describes the whole picture.

    Args:
        side: height and width of the feature map, so that N = side^2 places.
        width: channels D of the feature map.
        heads: number of attention heads.
        embed_dim: dimension E of the shared space.
    """

    def __init__(self, side: int, width: int, heads: int, embed_dim: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(side * side + 1, width) * width**-0.5)
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        # The projection into the shared space; `ResNet.forward` applies it.
        self.c_proj = nn.Linear(width, embed_dim)

    def gather(self, x: Tensor) -> Tensor:
        """Pool a feature map (B, D, H, W) to one vector (B, D), not yet projected."""
        x = x.flatten(2).transpose(1, 2)  # (B, N, D)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)  # (B, 1 + N, D)
        x = x + self.positional_embedding
        # Only the mean asks, so there is one query; keys and values are the mean and all places.
        q, k, v = (
            linear(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear, y in ((self.q_proj, x[:, :1]), (self.k_proj, x), (self.v_proj, x))
        )  # (B, heads, 1 or 1 + N, D / heads)
        return attend(q, k, v, None).transpose(1, 2).flatten(1)  # (B, D)


class ResNet(nn.Module):
    """The image tower as a modified ResNet (paper 2.4).

    Args:
        config: `config.resnet` gives the number of blocks in each of the four stages, and
            `config.vision_width` the channels in the first stage's narrow middle.
    """

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width = config.vision_width
        half = width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn3 = BatchNorm2d(width)
        inside = width
        for stage, depth in enumerate(config.resnet):
            blocks = []
            for index in range(depth):
                # Each stage but the first halves the picture, in its first block, and each stage
                # is twice as wide as the one before: width << stage is width * 2**stage.
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Bottleneck(inside, width << stage, stride))
                inside = 4 * width << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.attnpool = AttentionPool(
            config.image_size // 32, 32 * width, config.vision_heads, config.embed_dim
        )
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)  # so that each block starts by adding nothing
        for linear in (
            self.attnpool.q_proj,
            self.attnpool.k_proj,
            self.attnpool.v_proj,
            self.attnpool.c_proj,
        ):
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5)

    def tokens(self, images: Tensor) -> Tensor:
        """The last stage's vector for each place: pictures (B, 3, H, W) -> (B, N, D), where
        N = H / 32 * W / 32 and D = 32 * vision_width."""
        return self._stages(images).flatten(2).transpose(1, 2)

    def _stages(self, images: Tensor) -> Tensor:
        """All convolutions: (B, 3, H, W) -> (B, 32 * vision_width, H / 32, W / 32)."""
        x = images
        for number in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        x = F.avg_pool2d(x, 2)  # (B, vision_width, H / 4, W / 4)
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
        return x  # (B, 32 * vision_width, H / 32, W / 32)

    def features(self, images: Tensor) -> Tensor:
        """One vector for each picture, before the projection into the shared space, as linear
        probes use it: (B, 3, H, W) -> (B, D)."""
        return self.attnpool.gather(self._stages(images))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, E), not yet of unit length."""
        return self.attnpool.c_proj(self.features(images))
