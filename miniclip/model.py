"""The two towers of CLIP: a vision transformer and a text transformer that meet in one space
(paper 2.4).

Read from top to bottom: the image tower, the text tower, and CLIP, which joins them. Their sizes
are in `config.py`, the block that both are made of is in `attention.py`.
Shapes stand behind the lines that make them: B batch, N patches, T tokens, D width, E embedding.
Taught in notebook 02.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miniclip.attention import Transformer
from miniclip.batch_norm import BatchNorm2d
from miniclip.config import CLIPConfig
from miniclip.resnet import ResNet
from miniclip.tokenizer import Tokenizer, trim


def sincos_2d(side: int, width: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of a side x side grid: (side * side, width), in [-1, 1]."""
    frequencies = 10000.0 ** -(torch.arange(width // 4) / (width // 4))  # (D/4,)
    angles = torch.arange(side)[:, None] * frequencies  # (side, D/4)
    row, column = (
        angles[:, None, :].expand(side, side, -1),
        angles[None, :, :].expand(side, side, -1),
    )
    return torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], dim=2).flatten(0, 1)


def convolutional_stem(patch_size: int, width: int) -> nn.Sequential:
    """Halve the picture until a pixel stands for a patch, doubling the channels up to `width`;
    then look at the neighbours once."""
    steps = int(math.log2(patch_size))
    layers, channels = [], 3
    for step in range(steps):
        wider = width >> (steps - 1 - step)
        layers += [
            nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False),
            BatchNorm2d(wider),
            nn.GELU(),
        ]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(width, width, 3, padding=1))


class VisionTransformer(nn.Module):
    """The image tower: patches, positions, blocks, one vector (Dosovitskiy et al. 2021; paper
    2.4)."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width, side = config.vision_width, config.image_size // config.patch_size
        if config.stem:
            self.patch_embedding = convolutional_stem(config.patch_size, width)
        else:
            self.patch_embedding = nn.Conv2d(
                3, width, config.patch_size, stride=config.patch_size, bias=False
            )
        self.class_embedding = (
            nn.Parameter(torch.randn(width) * width**-0.5) if config.pool == "cls" else None
        )
        grid = sincos_2d(side, width) * 0.1  # small beside the patches; learned from there on
        self.positional_embedding = nn.Parameter(
            F.pad(grid, (0, 0, 1, 0)) if config.pool == "cls" else grid
        )
        self.ln_pre = nn.LayerNorm(width) if config.pre_norm else nn.Identity()
        self.blocks = Transformer(
            width, config.vision_layers, config.vision_heads, config.activation
        )
        self.ln_post = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.randn(width, config.embed_dim) * width**-0.5)

    def embed(self, images: Tensor) -> Tensor:
        """What the first block sees: (B, 3, H, W) -> (B, N, D), a class token first where there
        is one."""
        x = self.patch_embedding(images).flatten(2).transpose(1, 2)  # (B, N, D)
        if self.class_embedding is not None:
            x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)  # (B, 1 + N, D)
        return self.ln_pre(x + self.positional_embedding)

    def tokens(self, images: Tensor) -> Tensor:
        """What the last block says of each place: (B, 3, H, W) -> (B, N, D), a class token first
        where there is one."""
        return self.blocks(self.embed(images))

    def features(self, images: Tensor) -> Tensor:
        """What a picture is to the tower before it is projected into the shared space, as linear
        probes take it (paper A.3): (B, 3, H, W) -> (B, D)."""
        if self.class_embedding is None:
            x = self.tokens(images).mean(dim=1)  # (B, D)
        else:
            x = self.blocks(
                self.embed(images),
                query_index=torch.zeros(len(images), dtype=torch.long, device=images.device),
            )[:, 0]  # (B, D)
        return self.ln_post(x)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, E), not yet of unit length."""
        return self.features(images) @ self.projection


class TextTransformer(nn.Module):
    """The text tower: a causal transformer, read at the end-of-text token (Radford et al. 2019;
    paper 2.4)."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width = config.text_width
        self.end_token = config.end_token
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.randn(config.context_length, width) * 0.1)
        self.blocks = Transformer(width, config.text_layers, config.text_heads, config.activation)
        self.ln_final = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.randn(width, config.embed_dim) * width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids -> (B, E), not yet of unit length."""
        if tokens.device.type == "cpu":
            tokens = trim(tokens, self.end_token)
        ends = (tokens == self.end_token).int().argmax(dim=1)  # (B,): the first end mark
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]  # (B, T, D)
        causal = torch.ones(
            tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=x.device
        ).tril()  # (T, T)
        x = self.blocks(x, causal, query_index=ends)[:, 0]  # (B, D): what is known when all is read
        return self.ln_final(x) @ self.projection


class CLIP(nn.Module):
    """Two towers and a temperature; carries its tokenizer and its preprocessing, so that it needs
    nothing else.

    Args:
        config: sizes; its vocab_size must be at least the tokenizer's.
        tokenizer: turns strings into token ids; None for a model that is only fed token ids.
    Raises:
        ValueError: if the tokenizer does not fit the configuration.
    """

    def __init__(self, config: CLIPConfig, tokenizer: Tokenizer | None = None):
        super().__init__()
        if tokenizer is not None and (
            len(tokenizer) > config.vocab_size or tokenizer.end != config.end_token
        ):
            raise ValueError(
                f"the tokenizer has {len(tokenizer)} tokens and ends texts with id {tokenizer.end}, "
                f"the configuration expects at most {config.vocab_size} and id {config.end_token}"
            )
        self.config, self.tokenizer = config, tokenizer
        self.visual = ResNet(config) if config.resnet else VisionTransformer(config)
        self.text = TextTransformer(config)
        self.logit_scale = nn.Parameter(
            torch.tensor(math.log(1 / 0.07))
        )  # the logarithm of the inverse temperature
        self.logit_bias = nn.Parameter(torch.tensor(0.0))  # of the sigmoid loss alone
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.logit_scale.device

    def preprocess(self, images) -> Tensor:
        """Make pictures ready for the image tower.

        Args:
            images: one picture or several: PIL images, uint8 arrays or tensors (H, W, 3) or (B,
                H, W, 3).
        Returns:
            float tensor (B, 3, S, S) on the model's device: shorter side resized to S, centre
            cropped, normalised.
        Raises:
            ValueError: for anything else.
        """
        if isinstance(images, (np.ndarray, Tensor)):
            x = torch.as_tensor(
                np.require(images, requirements="CW") if isinstance(images, np.ndarray) else images
            )
            x = x[None] if x.ndim == 3 else x
        else:
            pictures = images if isinstance(images, Sequence) else [images]
            arrays = [
                torch.from_numpy(np.array(p.convert("RGB") if hasattr(p, "convert") else p))
                for p in pictures
            ]
            if len({array.shape for array in arrays}) > 1:
                return torch.cat([self.preprocess(array) for array in arrays])
            x = torch.stack(arrays) if arrays else torch.empty(0)
        if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[-1] != 3:
            raise ValueError(
                f"expected pictures as PIL images or uint8 (B, H, W, 3), got {x.dtype} {tuple(x.shape)}"
            )
        x = x.permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W)
        size, (height, width) = self.config.image_size, x.shape[2:]
        if (height, width) != (size, size):
            scale = size / min(height, width)
            height, width = max(size, round(height * scale)), max(size, round(width * scale))
            x = F.interpolate(x, (height, width), mode="bicubic", antialias=True).clamp(0, 1)
            top, left = (height - size) // 2, (width - size) // 2
            x = x[:, :, top : top + size, left : left + size]
        return (x.to(self.device) - self.mean) / self.std

    def encode_image(self, images) -> Tensor:
        """Pictures (anything `preprocess` takes, or its float result (B, 3, S, S)) to unit
        vectors (B, E)."""
        if not (isinstance(images, Tensor) and images.is_floating_point()):
            images = self.preprocess(images)
        return F.normalize(self.visual(images), dim=-1)

    def encode_text(self, texts: str | Sequence[str] | Tensor, truncate: bool = False) -> Tensor:
        """Strings or token ids (B, T) to unit vectors (B, E); too long a string is an error
        unless `truncate`."""
        if not isinstance(texts, Tensor):
            if self.tokenizer is None:
                raise ValueError(
                    "this model has no tokenizer; give it token ids, or make it with CLIP(config, tokenizer)"
                )
            texts = self.tokenizer(texts, self.config.context_length, truncate)
        return F.normalize(self.text(texts.to(self.device)), dim=-1)

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of pairs to (image features (B, E), text features (B, E), inverse temperature),
        as the losses take them."""
        return self.encode_image(images), self.encode_text(tokens), self.logit_scale.exp()

    def classify(
        self, image, labels: Sequence[str], template: str | Sequence[str] = "{}"
    ) -> dict[str, float]:
        """The probability of each label for one picture; see `miniclip.zeroshot.classify`."""
        from miniclip.zeroshot import classify

        return classify(self, image, labels, template)
