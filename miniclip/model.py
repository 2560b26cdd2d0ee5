"""The two towers of CLIP: a vision transformer and a text transformer that meet in one space (paper 2.4).

Read from top to bottom: the configuration, the block both towers are made of, the image tower, the text tower, and CLIP,
which joins them. Shapes stand behind the lines that make them: B batch, N patches, T tokens, D width, H heads, E embedding.
Taught in notebook 02.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parallel import BatchNorm2d
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class CLIPConfig:
    """Everything that decides a model's shape; `CLIPConfig.preset("nano")` gives a named one.

    Args:
        image_size, patch_size: in pixels; the picture is cut into (image_size / patch_size)^2 patches.
        vision_width, vision_layers, vision_heads: of the image tower. text_width, ...: of the text tower.
        embed_dim: dimension E of the shared space.
        vocab_size, context_length: number of token ids; most tokens a text may have, its two marks included.
        stem: see patches through a few small convolutions (Xiao et al. 2021) instead of one linear map.
        pool: read the picture at a class token ("cls", as the paper) or at the mean over patches ("mean").
        activation: "gelu", or "quick_gelu" as in OpenAI's weights.
        pre_norm: a LayerNorm before the first image block, as in OpenAI's weights.
        resnet: blocks in each of four stages, for the paper's other image tower (see `resnet.py`); empty for a vision transformer.
        end_token: id of the mark at which a text is read.
        mean, std: of the pixels, by channel, in [0, 1]; inputs are normalised with them.
    Raises:
        ValueError: for a combination that cannot be built.
    """

    image_size: int = 48
    patch_size: int = 8
    vision_width: int = 128
    vision_layers: int = 3
    vision_heads: int = 4
    text_width: int = 128
    text_layers: int = 2
    text_heads: int = 4
    embed_dim: int = 128
    vocab_size: int = 2048
    context_length: int = 32
    stem: bool = True
    pool: str = "mean"
    activation: str = "gelu"
    pre_norm: bool = False
    resnet: tuple[int, ...] = ()
    end_token: int = 2
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)  # the paper's code normalises with these
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        object.__setattr__(self, "resnet", tuple(self.resnet))
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{item.name} must be a whole number of at least 1, not {value!r}")
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}; patches must tile the picture")
        for tower in ("vision", "text"):
            width, heads = getattr(self, f"{tower}_width"), getattr(self, f"{tower}_heads")
            if width % heads:
                raise ValueError(f"{tower}_width {width} cannot be shared by {heads} heads; choose a multiple")
        if self.resnet and (len(self.resnet) != 4 or min(self.resnet) < 1 or self.image_size % 32 or self.vision_width * 32 % self.vision_heads):
            raise ValueError(f"a ResNet has four stages of at least one block and pictures of a multiple of 32 pixels, not {self.resnet} and {self.image_size}")
        if self.vision_width % 4:
            raise ValueError(f"vision_width {self.vision_width} must be a multiple of 4 for 2-D sine-cosine positions")
        if self.stem and (self.patch_size & (self.patch_size - 1) or self.patch_size < 2):
            raise ValueError(f"a convolutional stem halves the picture again and again: patch_size must be a power of 2, not {self.patch_size}")
        if self.stem and self.vision_width % (self.patch_size // 2):
            raise ValueError(f"a convolutional stem doubles its channels up to vision_width: {self.vision_width} is not a multiple of {self.patch_size // 2}")
        for name, options in (("pool", ("cls", "mean")), ("activation", ("gelu", "quick_gelu"))):
            if getattr(self, name) not in options:
                raise ValueError(f"{name} is one of {', '.join(options)}, not {getattr(self, name)!r}")
        if self.context_length < 3 or not self.end_token < self.vocab_size:
            raise ValueError(f"a text needs at least 3 tokens and its end mark in the vocabulary; got context_length {self.context_length}, end_token {self.end_token}")

    @classmethod
    def preset(cls, name: str, **changes) -> CLIPConfig:
        """A named size, with single fields changed: `CLIPConfig.preset("tiny", pool="cls")`."""
        if name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes)


PRESETS = {
    "nano": CLIPConfig(),  # 1.4 M parameters: minutes on two cores
    "tiny": CLIPConfig(  # 5 M: an hour on two cores
        image_size=64, vision_width=192, vision_layers=6, vision_heads=6, text_width=192, text_layers=3, text_heads=6,
        embed_dim=192, vocab_size=4096),
    "nano-resnet": CLIPConfig(  # 2 M: the paper's other image tower
        image_size=64, patch_size=32, vision_width=16, vision_layers=6, vision_heads=8, resnet=(2, 2, 1, 1), stem=False, pool="cls"),
    "small": CLIPConfig(  # 11 M: for a GPU
        image_size=96, vision_width=256, vision_layers=8, vision_heads=8, text_width=256, text_layers=4, text_heads=8,
        embed_dim=256, vocab_size=4096),
    "base": CLIPConfig(  # the paper's ViT-B/32
        image_size=224, patch_size=32, vision_width=768, vision_layers=12, vision_heads=12, text_width=512, text_layers=12, text_heads=8,
        embed_dim=512, vocab_size=49408, context_length=77, stem=False, pool="cls", pre_norm=True),
}


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the cheaper GELU of OpenAI's weights."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(D/H)) v for queries (B, H, Q, D/H) over keys and values (B, H, N, D/H); False in `mask` hides a key."""
    if q.device.type != "cpu" or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, mask)
    # PyTorch's fused kernel is slow backward on the CPU: 1.5 times as long in fp32 and 10 times in bf16, for 37 tokens. The same in three products:
    scores = (q * q.shape[-1] ** -0.5) @ k.mT  # (B, H, Q, N)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(dim=-1) @ v


class Attention(nn.Module):
    """Multi-head attention: each query gathers from the tokens what it looks for."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Queries (B, Q, D) look at tokens (B, N, D), where `mask` (..., Q, N) allows it; gives (B, Q, D)."""
        q, k, v = self.query(queries), self.key(tokens), self.value(tokens)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, H, Q or N, D/H)
        x = attend(q, k, v, mask)  # (B, H, Q, D/H)
        return self.out(x.transpose(1, 2).flatten(2))  # (B, Q, D)


class Block(nn.Module):
    """A pre-norm transformer block: attention among the tokens, then a two-layer network on each by itself."""

    def __init__(self, width: int, heads: int, activation: str):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU() if activation == "gelu" else QuickGELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor | None = None, read: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D); or, where `read` (B,) names one token of each sequence, what becomes of it alone: (B, 1, D)."""
        queries = tokens = self.ln_1(x)  # (B, N, D)
        if read is not None:
            rows = torch.arange(len(x), device=x.device)
            x, queries = x[rows, read, None], tokens[rows, read, None]  # (B, 1, D)
            mask = None if mask is None else mask[read, None, None]  # (B, 1, 1, N)
        x = x + self.attention(queries, tokens, mask)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Sequential):
    """A stack of blocks, started as in the paper's code: smaller where more layers add up."""

    def __init__(self, width: int, layers: int, heads: int, activation: str):
        super().__init__(*(Block(width, heads, activation) for _ in range(layers)))
        for block in self:
            attention, (wide, _, narrow) = block.attention, block.mlp
            for linear in (attention.query, attention.key, attention.value, attention.out, wide, narrow):
                nn.init.normal_(linear.weight, std=width**-0.5)
                nn.init.zeros_(linear.bias)
            with torch.no_grad():
                wide.weight.mul_(2**-0.5)
                attention.out.weight.mul_((2 * layers) ** -0.5)
                narrow.weight.mul_((2 * layers) ** -0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None, read: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D). Who will `read` (B,) one token of each sequence gets (B, 1, D): the last block is spared the others."""
        *first, last = self
        for block in first:
            x = block(x, mask)
        return last(x, mask, read)


def sincos_2d(side: int, width: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of a side x side grid: (side * side, width), in [-1, 1]."""
    frequencies = 10000.0 ** -(torch.arange(width // 4) / (width // 4))  # (D/4,)
    angles = torch.arange(side)[:, None] * frequencies  # (side, D/4)
    row, column = angles[:, None, :].expand(side, side, -1), angles[None, :, :].expand(side, side, -1)
    return torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], dim=2).flatten(0, 1)


def convolutional_stem(patch_size: int, width: int) -> nn.Sequential:
    """Halve the picture until a pixel stands for a patch, doubling the channels up to `width`; then look at the neighbours once."""
    steps = int(math.log2(patch_size))
    layers, channels = [], 3
    for step in range(steps):
        wider = width >> (steps - 1 - step)
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False), BatchNorm2d(wider), nn.GELU()]
        channels = wider
    return nn.Sequential(*layers, nn.Conv2d(width, width, 3, padding=1))


class VisionTransformer(nn.Module):
    """The image tower: patches, positions, blocks, one vector (Dosovitskiy et al. 2021; paper 2.4)."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        width, side = config.vision_width, config.image_size // config.patch_size
        if config.stem:
            self.patch_embedding = convolutional_stem(config.patch_size, width)
        else:
            self.patch_embedding = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width**-0.5) if config.pool == "cls" else None
        grid = sincos_2d(side, width) * 0.1  # small beside the patches; learned from there on
        self.positional_embedding = nn.Parameter(F.pad(grid, (0, 0, 1, 0)) if config.pool == "cls" else grid)
        self.ln_pre = nn.LayerNorm(width) if config.pre_norm else nn.Identity()
        self.blocks = Transformer(width, config.vision_layers, config.vision_heads, config.activation)
        self.ln_post = nn.LayerNorm(width)
        self.projection = nn.Parameter(torch.randn(width, config.embed_dim) * width**-0.5)

    def embed(self, images: Tensor) -> Tensor:
        """What the first block sees: (B, 3, H, W) -> (B, N, D), a class token first where there is one."""
        x = self.patch_embedding(images).flatten(2).transpose(1, 2)  # (B, N, D)
        if self.class_embedding is not None:
            x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)  # (B, 1 + N, D)
        return self.ln_pre(x + self.positional_embedding)

    def tokens(self, images: Tensor) -> Tensor:
        """What the last block says of each place: (B, 3, H, W) -> (B, N, D), a class token first where there is one."""
        return self.blocks(self.embed(images))

    def features(self, images: Tensor) -> Tensor:
        """What a picture is to the tower before it is projected into the shared space, as linear probes take it (paper A.3): (B, 3, H, W) -> (B, D)."""
        if self.class_embedding is None:
            x = self.tokens(images).mean(dim=1)  # (B, D)
        else:
            x = self.blocks(self.embed(images), read=torch.zeros(len(images), dtype=torch.long, device=images.device))[:, 0]  # (B, D)
        return self.ln_post(x)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, E), not yet of unit length."""
        return self.features(images) @ self.projection


class TextTransformer(nn.Module):
    """The text tower: a causal transformer, read at the end-of-text token (Radford et al. 2019; paper 2.4)."""

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
        ends = (tokens == self.end_token).int().argmax(dim=1)  # (B,): the first end mark
        # A causal tower never looks ahead, so the padding behind the longest text changes nothing: leave it out.
        tokens = tokens[:, : int(ends.max()) + 1]
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]  # (B, T, D)
        causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=x.device).tril()  # (T, T)
        x = self.blocks(x, causal, read=ends)[:, 0]  # (B, D): what is known when all is read
        return self.ln_final(x) @ self.projection


class CLIP(nn.Module):
    """Two towers and a temperature; carries its tokenizer and its preprocessing, so that it needs nothing else.

    Args:
        config: sizes; its vocab_size must be at least the tokenizer's.
        tokenizer: turns strings into token ids; None for a model that is only fed token ids.
    Raises:
        ValueError: if the tokenizer does not fit the configuration.
    """

    def __init__(self, config: CLIPConfig, tokenizer: Tokenizer | None = None):
        super().__init__()
        if tokenizer is not None and (len(tokenizer) > config.vocab_size or tokenizer.end != config.end_token):
            raise ValueError(
                f"the tokenizer has {len(tokenizer)} tokens and ends texts with id {tokenizer.end}, "
                f"the configuration expects at most {config.vocab_size} and id {config.end_token}")
        self.config, self.tokenizer = config, tokenizer
        from .resnet import ResNet  # here, since it is made of parts of this file

        self.visual = ResNet(config) if config.resnet else VisionTransformer(config)
        self.text = TextTransformer(config)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # the logarithm of the inverse temperature
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
            images: one picture or several: PIL images, uint8 arrays or tensors (H, W, 3) or (B, H, W, 3).
        Returns:
            float tensor (B, 3, S, S) on the model's device: shorter side resized to S, centre cropped, normalised.
        Raises:
            ValueError: for anything else.
        """
        if isinstance(images, (np.ndarray, Tensor)):
            x = torch.as_tensor(np.require(images, requirements="CW") if isinstance(images, np.ndarray) else images)
            x = x[None] if x.ndim == 3 else x
        else:
            pictures = images if isinstance(images, Sequence) else [images]
            arrays = [torch.from_numpy(np.array(p.convert("RGB") if hasattr(p, "convert") else p)) for p in pictures]
            if len({array.shape for array in arrays}) > 1:
                return torch.cat([self.preprocess(array) for array in arrays])
            x = torch.stack(arrays) if arrays else torch.empty(0)
        if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[-1] != 3:
            raise ValueError(f"expected pictures as PIL images or uint8 (B, H, W, 3), got {x.dtype} {tuple(x.shape)}")
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
        """Pictures (anything `preprocess` takes, or its float result (B, 3, S, S)) to unit vectors (B, E)."""
        if not (isinstance(images, Tensor) and images.is_floating_point()):
            images = self.preprocess(images)
        return F.normalize(self.visual(images), dim=-1)

    def encode_text(self, texts: str | Sequence[str] | Tensor, truncate: bool = False) -> Tensor:
        """Strings or token ids (B, T) to unit vectors (B, E); too long a string is an error unless `truncate`."""
        if not isinstance(texts, Tensor):
            if self.tokenizer is None:
                raise ValueError("this model has no tokenizer; give it token ids, or make it with CLIP(config, tokenizer)")
            texts = self.tokenizer(texts, self.config.context_length, truncate)
        return F.normalize(self.text(texts.to(self.device)), dim=-1)

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of pairs to (image features (B, E), text features (B, E), inverse temperature), as the losses take them."""
        return self.encode_image(images), self.encode_text(tokens), self.logit_scale.exp()

    def classify(self, image, labels: Sequence[str], template: str | Sequence[str] = "{}") -> dict[str, float]:
        """The probability of each label for one picture; see `miniclip.zeroshot.classify`."""
        from .zeroshot import classify

        return classify(self, image, labels, template)
